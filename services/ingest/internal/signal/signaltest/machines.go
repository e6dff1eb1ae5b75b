package signaltest

import "time"

// scanned lets the machines on the mail's way have it: none, one, or several.
func (d *draw) scanned() {
	for _, m := range [...]struct {
		rate float64
		does func()
	}{
		{.30, d.applePrivacy},
		{.12, d.gmailAtOnce},
		{.05, d.safeLinks},
		{.04, d.proofpoint},
		{.04, d.mimecast},
		{.05, d.barracuda},
		{.04, d.hidden},
		{.03, d.library},
		{.015, d.preview},
		{.012, d.slow},
		{.006, d.single},
	} {
		if d.chance(m.rate) {
			m.does()
		}
	}
}

// applePrivacy loads every picture, within a day, whoever reads.
func (d *draw) applePrivacy() {
	d.add(what{
		after: d.pause(20*time.Minute, 2), agent: "Mozilla/5.0", machine: true, who: "Apple's privacy proxy",
		network: pick(d, "17.58.98.0/24", "104.28.30.0/24", "172.225.40.0/24", "2a02:26f7:c8::/48"),
	})
}

// gmailAtOnce is Google's proxy that fetches when the mail arrives.
func (d *draw) gmailAtOnce() {
	d.add(what{
		after: d.between(300*time.Millisecond, 3500*time.Millisecond), agent: googleProxy, machine: true, who: "Gmail's proxy at once",
		network: pick(d, "66.102.9.0/24", "66.249.84.0/24"),
	})
}

// follow goes to every link there is, the invisible one as well unless it is told
// otherwise, in a random order.
func (d *draw) follow(begin, gap time.Duration, trap float64, w what) {
	w.machine = true
	at := begin
	for _, i := range d.dice.Perm(d.links) {
		w.after, w.link = at, i+1
		d.add(w)
		at += time.Duration(float64(gap) * (.3 + 1.4*d.dice.Float64()))
	}
	if d.chance(trap) {
		w.after, w.link, w.trap = at, 0, true
		d.add(w)
	}
}

// safeLinks detonates links in Microsoft's network, with a browser's name.
func (d *draw) safeLinks() {
	w := what{agent: d.browser(), network: pick(d, "40.94.31.0/24", "52.100.4.0/24", "104.47.2.0/24", "20.231.4.0/24"), who: "SafeLinks"}
	d.add(what{after: d.between(2*time.Second, 20*time.Second), agent: w.agent, network: w.network, machine: true, who: "SafeLinks opens"})
	d.follow(d.between(3*time.Second, 30*time.Second), 400*time.Millisecond, .9, w)
}

// proofpoint asks with HEAD first, then follows.
func (d *draw) proofpoint() {
	w := what{agent: d.browser(), network: pick(d, "67.231.149.0/24", "148.163.135.0/24", "3.120.7.0/24"), who: "Proofpoint", head: true}
	begin := d.between(time.Second, 15*time.Second)
	d.follow(begin, 100*time.Millisecond, .5, w)
	if d.chance(.6) {
		w.head = false
		d.follow(begin+d.between(time.Second, 4*time.Second), 300*time.Millisecond, .85, w)
	}
}

// mimecast says who it is, mostly.
func (d *draw) mimecast() {
	w := what{agent: "Mozilla/5.0 (compatible; Mimecast URL Scanner/2.1)", network: "207.211.30.0/24", who: "Mimecast"}
	if d.chance(.3) {
		w.agent = d.browser()
	}
	d.follow(d.between(time.Second, 40*time.Second), 700*time.Millisecond, .8, w)
}

// barracuda stands in the recipient's own house, behind the same address, and
// scans for everybody.
func (d *draw) barracuda() {
	w := what{agent: d.browser(), network: d.home, crowd: uint32(1 + d.dice.IntN(30)), who: "a gateway in the house"}
	d.follow(d.between(500*time.Millisecond, 6*time.Second), 150*time.Millisecond, .9, w)
}

// hidden comes with a browser's name from a household's network.
func (d *draw) hidden() {
	w := what{agent: d.browser(), network: d.network(), who: "a scanner from a household"}
	d.add(what{after: d.between(time.Second, 9*time.Second), agent: w.agent, network: w.network, machine: true, who: "a scanner from a household opens"})
	d.follow(d.between(2*time.Second, 12*time.Second), 350*time.Millisecond, .92, w)
}

// library is a program that somebody wrote.
func (d *draw) library() {
	w := what{agent: pick(d, "python-requests/2.32.3", "Go-http-client/2.0", "curl/8.5.0", "", "okhttp-bot/1.0", "Apache-HttpClient/4.5.14 (Java/17)"), network: d.network(), who: "a library"}
	d.follow(d.pause(3*time.Minute, 1.5), 2*time.Second, .7, w)
}

// preview is what a chat program shows of a link that somebody pasted.
func (d *draw) preview() {
	d.add(what{
		after: d.pause(4*time.Hour, 1), agent: pick(d, "Slackbot-LinkExpanding 1.0 (+https://api.slack.example/robots)", "facebookexternalhit/1.1", "Microsoft Office Existence Discovery"),
		network: "34.90.12.0/24", link: 1 + d.dice.IntN(d.links), machine: true, who: "a preview", head: d.chance(.2),
	})
}

// slow spaces its clicks like a reader does, and does not fall for the trap: only
// where it comes from and how soon may tell.
func (d *draw) slow() {
	w := what{agent: d.browser(), network: pick(d, "74.125.9.0/24", "40.107.9.0/24", d.network()), who: "a slow scanner"}
	d.follow(d.between(4*time.Second, 50*time.Second), 9*time.Second, 0, w)
}

// single follows one link, once, a little later, from anywhere: nothing tells.
func (d *draw) single() {
	d.add(what{
		after: d.between(5*time.Second, 3*time.Minute), agent: d.browser(), network: d.network(), link: 1 + d.dice.IntN(d.links),
		machine: true, who: "a scanner of one link",
	})
}
