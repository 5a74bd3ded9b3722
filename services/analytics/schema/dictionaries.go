package schema

// Dictionaries are those that read a table. Who has changed the table says SYSTEM RELOAD DICTIONARY for each, so that views show it at once.
// A server follows by itself within two minutes; the embedded engine does not.
func Dictionaries(table string) []string {
	switch table {
	case "directory_entries":
		return []string{"dict_entries"}
	case "native_ids":
		return []string{"dict_native_ids"}
	case "customer_endpoints":
		return []string{"dict_customers"}
	case "conversation_interactions":
		return []string{"dict_conversations"}
	case "interaction_customers":
		return []string{"dict_attributions"}
	}
	return nil
}
