package signaltest

import "time"

// Agents of readers' programs.
func (d *draw) browser() string {
	return pick(d,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; U; Android 9; CUBOT NOTE S Build/NRD90M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari/537.36",
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
}

func (d *draw) mailer() string {
	return pick(d,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Microsoft Outlook 16.0.17928; Microsoft Outlook",
		"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
		"Outlook-iOS/723.4110879.prod.iphone (4.2443.0)",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Mailspring/1.14.0 Chrome/120 Electron/28.0 Safari/537.36",
		d.browser())
}

const googleProxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"

// read lets the reader do with the mail what readers do.
func (d *draw) read() {
	if d.chance(.55) {
		return // never looked at it
	}
	first := d.pause(40*time.Minute, 1.6) // most within a day, some after weeks
	if d.chance(.01) {
		first = d.between(1500*time.Millisecond, 8*time.Second) // was just looking at the inbox
	}
	agent := d.browser()
	d.open(first, "opens")
	switch {
	case d.chance(.25):
		d.open(first+d.pause(5*time.Hour, 1.2), "opens again")
	case d.chance(.04): // forwarded: somebody else, somewhere else
		elsewhere := d.network()
		at := first + d.pause(2*time.Hour, 1)
		d.add(what{after: at, agent: d.mailer(), network: elsewhere, who: "opens what was forwarded"})
		if d.chance(.4) {
			d.add(what{after: at + d.pause(30*time.Second, .8), agent: d.browser(), network: elsewhere, link: 1 + d.dice.IntN(d.links), who: "clicks in what was forwarded"})
		}
	}
	if d.chance(.45) {
		d.click(first+d.pause(15*time.Second, .9), agent)
	}
}

// open is how a reader's program loads the picture: by itself, or by the proxy of
// the mailbox provider when the mail is opened.
func (d *draw) open(at time.Duration, who string) {
	w := what{after: at, agent: d.mailer(), network: d.home, who: who}
	if d.chance(.35) {
		w.agent, w.network, w.who = googleProxy, pick(d, "66.102.9.0/24", "66.249.84.0/24", "74.125.210.0/24"), who+" in Gmail"
	}
	w.noTime = d.chance(.02)
	d.add(w)
}

// click: one link, some of them twice, few readers several.
func (d *draw) click(at time.Duration, agent string) {
	w := what{after: at, agent: agent, network: d.home, link: 1 + d.dice.IntN(d.links), who: "clicks"}
	switch p := d.dice.Float64(); {
	case p < .06: // a cloud proxy of the company, or a VPN
		w.network, w.who = pick(d, "34.90.12.0/24", "52.17.3.0/24", "74.125.9.0/24"), "clicks by a cloud proxy"
	case p < .16: // one address of a whole company, a newsletter at nine o'clock
		w.crowd, w.who = uint32(1+d.dice.IntN(3)), "clicks in an office"
	case p < .18:
		w.placeless, w.who = true, "clicks in our own network"
	}
	d.add(w)
	if d.chance(.08) { // a double click
		w.after += d.between(100*time.Millisecond, 900*time.Millisecond)
		d.add(w)
	}
	for n := 0; d.chance(.18) && n < 3; n++ { // reads on, comes back, takes the next link
		w.link = 1 + d.dice.IntN(d.links)
		w.after += time.Second + d.pause(20*time.Second, 1)
		d.add(w)
	}
	if d.chance(.05) { // opens two in tabs
		w.link = 1 + w.link%d.links
		w.after += d.between(300*time.Millisecond, 2*time.Second)
		d.add(w)
	}
}
