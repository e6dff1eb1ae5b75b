package access

import (
	"slices"
	"strings"

	accessv1 "github.com/nurturehq/nurture/proto/nurture/access/v1"
)

// Role is one thing that a token allows.
type Role = accessv1.Role

// The roles, from the least to the most.
const (
	Read     = accessv1.Role_ROLE_READ
	Personal = accessv1.Role_ROLE_PERSONAL
	Send     = accessv1.Role_ROLE_SEND
	Sales    = accessv1.Role_ROLE_SALES
	Operate  = accessv1.Role_ROLE_OPERATE
	Admin    = accessv1.Role_ROLE_ADMIN
)

// Roles lists them all.
func Roles() []Role { return []Role{Read, Personal, Send, Sales, Operate, Admin} }

// NameOf is how a role is written, e.g. "personal".
func NameOf(r Role) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// Names are how roles are written, in the order given.
func Names(roles []Role) []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = NameOf(r)
	}
	return names
}

// RoleNamed reads a role as it is written.
func RoleNamed(name string) (Role, bool) {
	for _, r := range Roles() {
		if NameOf(r) == name {
			return r, true
		}
	}
	return accessv1.Role_ROLE_UNSPECIFIED, false
}

// Allows reports whether roles are enough for what a call needs. Who may see
// people may see the rest, who runs it may answer for sales, and an
// administrator may do everything. A need that nobody named is an
// administrator's.
func Allows(roles []Role, need Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool {
		switch r {
		case Admin:
			return true
		case Personal:
			return need == Personal || need == Read
		case Operate:
			return need == Operate || need == Sales || need == Read
		case Read, Send, Sales:
			return need == r
		case accessv1.Role_ROLE_UNSPECIFIED:
		}
		return false
	})
}
