package account

// Answer is which account an event names.
type Answer struct {
	Account string
	// New: nobody named it before.
	New bool
	// Claim are the places of keys that nobody has: they are the account's now.
	Claim []int
	// Elsewhere are the places of keys that belong to other accounts. They stay
	// there: two accounts are never made one by themselves.
	Elsewhere []int
}

// Decide says which account keys name, strongest first: the one that has the
// strongest of those that somebody has, else a new one. owners are whose the
// keys are, in their order, empty for nobody's.
func Decide(owners []string, newID func() string) Answer {
	ans := Answer{}
	for _, owner := range owners {
		if owner != "" {
			ans.Account = owner
			break
		}
	}
	if ans.Account == "" {
		ans.Account, ans.New = newID(), true
	}
	for i, owner := range owners {
		switch owner {
		case ans.Account:
		case "":
			ans.Claim = append(ans.Claim, i)
		default:
			ans.Elsewhere = append(ans.Elsewhere, i)
		}
	}
	return ans
}
