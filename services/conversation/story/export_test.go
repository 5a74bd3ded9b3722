package story

// Rule is the line of the table.
func (k Kind) Rule() (opens, acts bool) { return k.opens(), k.acts() }

// ListedTypes is how often the table has a type.
func ListedTypes() map[string]int {
	listed := map[string]int{}
	for _, r := range &rules {
		for _, t := range r.types {
			listed[t]++
		}
	}
	return listed
}
