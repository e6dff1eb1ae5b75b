// Sends with posthog-node and ends when all is delivered.
// usage: node posthog.js ADDRESS API_KEY USER VISITOR
// VISITOR is yes when something happened before the user was known.
const { PostHog } = require('posthog-node')
const [host, apiKey, distinctId, visitor] = process.argv.slice(2)

const client = new PostHog(apiKey, { host, flushAt: 4, flushInterval: 100, fetchRetryCount: 10, fetchRetryDelay: 200, preloadFeatureFlags: false })
client.on('error', (err) => console.error('error', err.message))
client.identify({ distinctId, properties: { email: `${distinctId}@acme.example`, name: 'Jo Doe', company: 'Acme', employees: 120 } })
for (let i = 0; i < 6; i++) {
  client.capture({ distinctId, event: `Step ${i}`, properties: { cart: { total: i } }, groups: { company: 'acme' } })
}
client.capture({ distinctId, event: '$pageview', properties: { $current_url: 'https://www.example.com/pricing?utm_source=search' } })
client.capture({ distinctId, event: '$screen', properties: { $screen_name: 'Home' } })
client.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { name: 'Acme' } })
if (visitor === 'yes') client.capture({ distinctId: `${distinctId}-browser`, event: 'Before Sign Up', properties: { $process_person_profile: false } })
if (visitor === 'yes') client.alias({ distinctId, alias: `${distinctId}-browser` })
client.shutdown(30000).then(() => process.exit(0))
