// Runs the snippet in a page made of air and checks what it does there.
// usage: node snippet_test.js SNIPPET
const vm = require('node:vm')
const fs = require('node:fs')
const assert = require('node:assert')
const code = fs.readFileSync(process.argv[2], 'utf8')

// visit runs the snippet in one page view and gives what can be seen of it.
function visit ({ href, referrer = '', navigator = {}, dataset = {}, storage = {}, cookie = '' }) {
  const fields = {}
  const form = { append: (e) => { fields[e.name] = e; form[e.name] = e } }
  const sent = []
  const jar = {}
  const page = {
    document: {
      currentScript: { dataset, src: 'https://in.example.com/v1/snippet.js?source=website' },
      referrer,
      title: 'Page',
      get cookie () { return cookie + Object.entries(jar).map(([k, v]) => `${k}=${v}`).join('; ') },
      set cookie (c) { const [, k, v] = c.match(/^([^=]*)=([^;]*)/); jar[k] = v },
      addEventListener: (name, f) => { assert.equal(name, 'DOMContentLoaded'); f() },
      createElement: () => ({}),
      querySelectorAll: (q) => { assert.equal(q, 'form[data-nurture]'); return [form] }
    },
    location: { href },
    navigator: { sendBeacon: (to, body) => sent.push([to, JSON.parse(body)]), ...navigator },
    escape, unescape
  }
  if (storage) page.localStorage = storage
  vm.createContext(page)
  vm.runInContext(code, page)
  const value = (name) => fields[name] && fields[name].value
  return { page, sent, storage, jar, value }
}

const first = visit({ href: 'https://www.example.com/?gclid=G', referrer: 'https://search.example/', dataset: { key: 'k' } })
assert.equal(first.sent.length, 1, 'a page view is sent once')
assert.equal(first.sent[0][0], 'https://in.example.com/v1/p')
const seen = first.sent[0][1]
assert.equal(seen.writeKey, 'k')
assert.ok(seen.anonymousId && seen.messageId && seen.anonymousId !== seen.messageId)
assert.deepEqual(seen.context.page, { url: 'https://www.example.com/?gclid=G', title: 'Page', referrer: 'https://search.example/' })
assert.equal(first.value('anonymous_id'), seen.anonymousId)
assert.equal(first.value('page_url'), 'https://www.example.com/?gclid=G')
assert.match(first.value('_nt'), /^[a-z0-9]+\.[\w-]{22}$/)

const second = visit({ href: 'https://www.example.com/demo', dataset: { key: 'k' }, storage: first.storage })
assert.equal(second.value('anonymous_id'), seen.anonymousId, 'the visitor is known again')
assert.match(second.value('_nf'), /^\d+ https:\/\/search\.example\/ https:\/\/www\.example\.com\/\?gclid=G$/, 'the first page is kept')
assert.equal(second.value('referrer'), undefined, 'what is empty is not sent')
second.page.location.href = 'https://www.example.com/next'
second.page.nurture()
assert.equal(second.sent.length, 2, 'a page that changes its address says so itself')
assert.equal(second.value('page_url'), 'https://www.example.com/next')

for (const navigator of [{ doNotTrack: '1' }, { globalPrivacyControl: true }]) {
  const quiet = visit({ href: 'https://www.example.com/', navigator, dataset: { key: 'k' } })
  quiet.page.nurture(1)
  assert.equal(quiet.sent.length, 0, 'who does not want to be tracked is not')
  assert.equal(Object.keys(quiet.storage).filter((k) => k !== 'nurture_ok').length, 0)
  assert.equal(quiet.value('anonymous_id'), undefined)
  assert.ok(quiet.value('_nt'), 'the form still works')
}

const asked = visit({ href: 'https://www.example.com/', dataset: { key: 'k', consent: '' } })
assert.equal(asked.sent.length + Object.keys(asked.storage).length, 0, 'nothing before the consent')
asked.page.nurture(1)
assert.equal(asked.sent.length, 1, 'a page view after it')
assert.equal(visit({ href: 'https://www.example.com/', dataset: { key: 'k', consent: '' }, storage: asked.storage }).sent.length, 1, 'the consent is remembered')

const cookies = visit({ href: 'https://www.example.com/?a=1;b', storage: null })
assert.equal(cookies.sent.length, 0, 'without a key nothing is sent')
assert.equal(cookies.value('anonymous_id'), cookies.jar.nurture_id, 'without storage a cookie does')
assert.ok(cookies.value('_nf').endsWith('https://www.example.com/?a=1;b'))
