// Sends with @rudderstack/rudder-sdk-node and ends when all is delivered.
// usage: node rudder.js ADDRESS WRITE_KEY USER VISITOR
// VISITOR is yes when something happened before the user was known.
const RudderAnalytics = require('@rudderstack/rudder-sdk-node').default || require('@rudderstack/rudder-sdk-node')
const [dataPlaneUrl, writeKey, userId, visitor] = process.argv.slice(2)

const analytics = new RudderAnalytics(writeKey, { dataPlaneUrl, gzip: true, flushAt: 100, flushInterval: 60000, logLevel: 'error' })
const done = (err) => { if (err) console.error('error', err.message) }
// The library sends its first event alone, at once.
analytics.track({ userId, event: 'Step 0' }, done)
analytics.identify({ userId, traits: { email: `${userId}@acme.example`, name: 'Jo Doe', company: { name: 'Acme', employee_count: 120 } } }, done)
for (let i = 1; i < 6; i++) {
  analytics.track({ userId, event: `Step ${i}`, properties: { cart: { total: i } } }, done)
}
analytics.page({ userId, name: 'Prices', properties: { url: 'https://www.example.com/pricing?utm_source=search' } }, done)
analytics.screen({ userId, name: 'Home' }, done)
analytics.group({ userId, groupId: 'acme', traits: { name: 'Acme', industry: 'Software' } }, done)
if (visitor === 'yes') analytics.track({ anonymousId: `${userId}-browser`, event: 'Before Sign Up' }, done)
if (visitor === 'yes') analytics.alias({ userId, previousId: `${userId}-browser` }, done)
analytics.flush().then(() => process.exit(0), (err) => { console.error(err.message); process.exit(1) })
