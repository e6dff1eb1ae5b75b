// Package account decides which company an event names, which account that is,
// and what one event changes about an account. It is pure.
package account
