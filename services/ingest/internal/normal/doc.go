// Package normal gives what people and machines type one spelling: e-mail,
// phone, names, company domain, country, campaign parameters. It is pure, and
// it runs before anything is recorded, so that folding a record again needs
// none of its tables.
package normal
