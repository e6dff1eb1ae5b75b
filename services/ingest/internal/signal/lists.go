package signal

// What everybody may know. signals.yaml adds to it; see docs/howto/signals.md for
// how to keep networks up to date.

// programs are parts of user agents that no reader's program has. Names that end
// in bot are looked for with what follows them: there are telephones of that name.
// Spaces count as hyphens.
const programs = `
bot/ bot; bot) crawler spider slurp curl/ wget/ python- python/ aiohttp httpx/ go-http-client go-resty java/ jakarta
apache-httpclient libwww perl/ ruby/ php/ guzzlehttp axios/ node-fetch undici got/ postmanruntime insomnia/ scrapy httrack
headlesschrome phantomjs selenium puppeteer playwright lighthouse
linkcheck link-check linkpreview urlpreview facebookexternalhit slackbot twitterbot discordbot telegrambot
barracuda mimecast proofpoint safelinks symantec messagelabs fireeye trellix trendmicro forcepoint sophos bitdefender
ironport mailguard mailmarshal spamexperts vadesecure checkpoint virustotal urlscan urlquery
existence-discovery monitor/ uptime pingdom statuscake nagios`

// proxies fetch pictures for readers, and for nobody.
const proxies = `googleimageproxy yahoomailproxy`

// scannerNetworks are mail gateways, as their owners publish them for senders to
// let in: Exchange Online, Proofpoint, Mimecast, Barracuda.
const scannerNetworks = `
40.92.0.0/15 40.107.0.0/16 52.100.0.0/14 104.47.0.0/17
67.231.144.0/20 148.163.128.0/19 205.220.160.0/19
207.211.30.0/23 205.139.110.0/23
64.235.144.0/20 209.222.80.0/21`

// dataCentreNetworks are those of mailbox providers' own machines, as they are
// published in their SPF records. Clouds are for signals.yaml: they change weekly.
const dataCentreNetworks = `
35.190.247.0/24 64.233.160.0/19 66.102.0.0/20 66.249.80.0/20 72.14.192.0/18 74.125.0.0/16 108.177.8.0/21
173.194.0.0/16 209.85.128.0/17 216.58.192.0/19 216.239.32.0/19 17.0.0.0/8`

// disposableDomains give addresses that are thrown away after use.
const disposableDomains = `
mailinator.com guerrillamail.com guerrillamail.net guerrillamail.org guerrillamail.biz guerrillamail.de sharklasers.com grr.la
10minutemail.com 10minutemail.net 20minutemail.com tempmail.com temp-mail.org temp-mail.io tempmail.net tempmail.dev tempmailo.com
tempail.com tempr.email tempinbox.com throwawaymail.com throwaway.email trashmail.com trashmail.de trashmail.net trash-mail.com
trashmail.ws wegwerfmail.de wegwerfmail.net wegwerfmail.org wegwerf-email.de einrot.com yopmail.com yopmail.fr yopmail.net
getnada.com nada.email dispostable.com maildrop.cc mailnesia.com mailcatch.com mailnull.com mailexpire.com mailforspam.com
mailmoat.com mytemp.email mohmal.com moakt.com moakt.cc emailondeck.com fakeinbox.com fakemail.net fake-mail.net fakemailgenerator.com
getairmail.com spam4.me spamgourmet.com spambox.us spamex.com spamfree24.org discard.email discardmail.com discardmail.de
burnermail.io incognitomail.org jetable.org inboxbear.com inboxkitten.com anonbox.net deadaddress.com
minuteinbox.com luxusmail.org mintemail.com mailsac.com mailpoof.com linshiyouxiang.net 1secmail.com 1secmail.net
1secmail.org emailfake.com generator.email crazymailing.com easytrashmail.com eyepaste.com harakirimail.com kurzepost.de
objectmail.com proxymail.eu rcpt.at s0ny.net tmail.ws tmpmail.org tmpmail.net tmails.net vomoto.com zehnminutenmail.de
muellmail.com muell.email byom.de cock.li dropmail.me edumail.icu emltmp.com mail-temp.com mail7.io smailpro.com`

// roleWords are what stands before the @ when several people read it.
const roleWords = `
abuse accounting accounts admin administration administrator all bewerbung billing booking bookings buchhaltung compliance
contact contactus contato customerservice datenschutz datenschutzbeauftragter dev devnull dns einkauf enquiries everyone
feedback finance ftp hallo hello help helpdesk hostmaster hr info information inquiries inquiry investor investors invoice
invoices it jobs karriere kontakt kundenservice legal list list-request mail mailbox mailer-daemon marketing media news
newsletter no-reply noc noreply office ops orders personal postmaster post presse press privacy purchasing reception recruiting
rechnung registrar reservations returns root sales security service services shop spam subscribe support sysadmin tech team
uucp undisclosed-recipients unsubscribe usenet verkauf vertrieb webmaster welcome www zentrale`
