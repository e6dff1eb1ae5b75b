// Sends with @segment/analytics-node and ends when all is delivered.
// usage: node segment.js ADDRESS WRITE_KEY USER VISITOR
// VISITOR is yes when something happened before the user was known.
const { Analytics } = require('@segment/analytics-node')
const [host, writeKey, userId, visitor] = process.argv.slice(2)

const analytics = new Analytics({ writeKey, host, flushAt: 3, flushInterval: 100, maxRetries: 10 })
analytics.on('error', (err) => console.error('error', err.code, err.reason && err.reason.message))
analytics.identify({ userId, traits: { email: `${userId}@acme.example`, name: 'Jo Doe', company: { name: 'Acme', employee_count: 120 } } })
for (let i = 0; i < 6; i++) {
  analytics.track({ userId, event: `Step ${i}`, properties: { cart: { total: i } } })
}
analytics.page({ userId, name: 'Prices', properties: { url: 'https://www.example.com/pricing?utm_source=search' } })
analytics.screen({ userId, name: 'Home' })
analytics.group({ userId, groupId: 'acme', traits: { name: 'Acme', industry: 'Software' } })
if (visitor === 'yes') analytics.track({ anonymousId: `${userId}-browser`, event: 'Before Sign Up' })
if (visitor === 'yes') analytics.alias({ userId, previousId: `${userId}-browser` })
analytics.closeAndFlush({ timeout: 30000 })
