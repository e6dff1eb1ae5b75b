package normal

import (
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// freeMail are domains whose addresses say nothing about an employer.
const freeMail = " gmail.com googlemail.com outlook.com hotmail.com hotmail.co.uk hotmail.fr hotmail.de live.com msn.com" +
	" yahoo.com yahoo.co.uk yahoo.fr yahoo.de yahoo.co.in yahoo.co.jp ymail.com rocketmail.com aol.com icloud.com me.com mac.com" +
	" gmx.de gmx.net gmx.com gmx.at gmx.ch web.de t-online.de freenet.de arcor.de mail.com email.com proton.me protonmail.com pm.me" +
	" tutanota.com tuta.io fastmail.com hey.com zoho.com yandex.ru yandex.com mail.ru bk.ru inbox.ru list.ru qq.com 163.com 126.com" +
	" sina.com foxmail.com naver.com daum.net hanmail.net rediffmail.com libero.it virgilio.it tiscali.it orange.fr wanadoo.fr free.fr" +
	" laposte.net sfr.fr neuf.fr bluewin.ch comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net" +
	" btinternet.com sky.com ntlworld.com virginmedia.com uol.com.br bol.com.br terra.com.br seznam.cz wp.pl o2.pl onet.pl interia.pl "

// FreeMail reports whether anybody can have an address at this domain.
func FreeMail(domain string) bool {
	return strings.Contains(freeMail, " "+domain+" ")
}

// FreeMailDomains lists the domains at which anybody can have an address.
func FreeMailDomains() []string { return strings.Fields(freeMail) }

// CompanyDomain gives the registrable domain of whoever pays for the address
// or, when that is a free-mail service, for the website. Empty when neither
// says.
func CompanyDomain(email, website string) string {
	if _, domain, ok := strings.Cut(email, "@"); ok {
		if d := Registrable(domain); d != "" && !FreeMail(d) {
			return d
		}
	}
	return Registrable(SiteHost(website))
}

// sharedSites are sites at which everybody can have a page.
const sharedSites = " linkedin.com xing.com facebook.com fb.com instagram.com threads.net twitter.com x.com youtube.com tiktok.com pinterest.com" +
	" reddit.com tumblr.com medium.com substack.com github.com gitlab.com bitbucket.org stackoverflow.com linktr.ee about.me bio.link" +
	" carrd.co notion.site notion.so google.com googleusercontent.com g.page goo.gl bit.ly t.me wa.me whatsapp.com discord.gg vk.com" +
	" weibo.com behance.net dribbble.com upwork.com fiverr.com crunchbase.com wikipedia.org yelp.com calendly.com typeform.com canva.site" +
	" wixsite.com squarespace.com weebly.com wordpress.com jimdo.com strikingly.com myshopify.com etsy.com ebay.com "

// SharedSite reports whether everybody can have a page at a domain: a website
// there says nothing about a company.
func SharedSite(domain string) bool {
	return strings.Contains(sharedSites, " "+domain+" ")
}

// Site gives the registrable domain of a website; empty when there is none.
func Site(website string) string { return Registrable(SiteHost(website)) }

// Registrable gives the part of a domain name that somebody registered:
// "acme.co.uk" of "mail.acme.co.uk"; empty when there is none.
func Registrable(domain string) string {
	d, err := host(strings.ToLower(domain))
	if err != nil {
		return ""
	}
	d, err = publicsuffix.EffectiveTLDPlusOne(d)
	if err != nil {
		return ""
	}
	return d
}

// SiteHost gives the host of a website's address, with or without scheme.
func SiteHost(website string) string {
	if website == "" {
		return ""
	}
	if !strings.Contains(website, "://") {
		website = "https://" + website
	}
	u, err := url.Parse(website)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
