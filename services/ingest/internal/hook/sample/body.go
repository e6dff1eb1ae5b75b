package sample

// The messages of senders whose shape is always the same.
const (
	googleBody = `{"lead_id":"%ID%","google_key":"%KEY%","form_id":1,"campaign_id":1,"gcl_id":"source-test","user_column_data":[` +
		`{"column_id":"FULL_NAME","string_value":"Source Test"},{"column_id":"EMAIL","string_value":"` + Address + `"},{"column_id":"COMPANY_NAME","string_value":"Example"}]}`
	metaBody     = `{"object":"page","entry":[{"id":"1","changes":[{"field":"leadgen","value":{"leadgen_id":"%ID%","form_id":"1","created_time":%AT%}}]}]}`
	linkedinBody = `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:%ID%","leadAction":"CREATED","occurredAt":%AT%000}`
	hubspotBody  = `{"fields":[{"name":"email","value":"` + Address + `"},{"name":"firstname","value":"Source"},{"name":"lastname","value":"Test"}],` +
		`"context":{"pageUri":"https://www.example.com/?utm_source=source-test&test=%ID%"}}`
	cloudeventsBody = `{"specversion":"1.0","id":"%ID%","source":"/source-test","type":"form_submitted","data":{"email":"` + Address + `","company":"Example"}}`
	postmarkBody    = `{"RecordType":"Delivery","MessageID":"%ID%","Recipient":"` + Address + `","DeliveredAt":"2026-01-01T00:00:00Z"}`
	mailgunBody     = `{"event-data":{"event":"delivered","id":"%ID%","timestamp":%AT%,"recipient":"` + Address + `"}}`
	resendBody      = `{"type":"email.delivered","created_at":"2026-01-01T00:00:00Z","data":{"email_id":"%ID%","to":["` + Address + `"]}}`
)
