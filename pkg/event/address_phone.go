package event

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// normalisePhone gives E.164 without a namespace, or the digits of a number that has no such form in the namespace of
// its region. libphonenumber's tables age, so they are asked as little as possible: after "+" a number need only have
// a possible length, not lie in a range that was handed out when the tables were made.
func normalisePhone(value, region string) (namespace, number string, err error) {
	if region != "" && phonenumbers.GetCountryCodeForRegion(region) == 0 {
		return "", "", &AddressError{"region", "is no country that has telephone numbers (ISO 3166-1, such as DE)"}
	}
	value = cutPrefixFold(value, "tel:")
	value, _, _ = strings.Cut(value, ";") // parameters of RFC 3966
	digits := phonenumbers.NormalizeDigitsOnly(value)
	international := strings.HasPrefix(value, "+") || strings.HasPrefix(value, "＋")
	if isWithheld(value, digits, international) {
		return "", "", ErrNoEndpoint
	}
	if region == "" && !international && len(digits) > 8 && strings.HasPrefix(digits, "00") {
		digits, international = digits[2:], true // what most of the world dials for "+"
		value = "+" + digits
	}
	switch spelling := phoneSpelling(value); {
	case spelling == spelledWrong:
		return "", "", &AddressError{"value", "is no telephone number"}
	case spelling == spelledWithLetters: // 1-800-FLOWERS, or an extension: only where the result is beyond doubt
		n, err := phonenumbers.Parse(value, region)
		if err != nil || !phonenumbers.IsValidNumber(n) {
			return "", "", &AddressError{"value", "holds letters and is no telephone number"}
		}
		return stable(phonenumbers.Format(n, phonenumbers.E164))
	case international:
		e164, ok := internationalForm("+" + digits)
		switch {
		case ok && e164 == "+"+digits:
			return "", e164, nil
		case ok:
			return stable(e164)
		}
		if len(digits) < 2 || len(digits) > 15 {
			return "", "", &AddressError{"value", "must have 2 to 15 digits"}
		}
		return "", "+" + digits, nil
	case region != "":
		return nationalForm(digits, region)
	case len(digits) < 2 || len(digits) > 7:
		return "", "", &AddressError{"value", "needs its country code (+49 30 1234) or a region to be read by"}
	}
	return "", digits, nil
}

// nationalForm reads a number without country code as it is dialled in its region.
func nationalForm(digits, region string) (namespace, number string, err error) {
	n, err := phonenumbers.Parse(digits, region)
	switch {
	case err == nil && phonenumbers.IsValidNumber(n):
		return stable(phonenumbers.Format(n, phonenumbers.E164))
	case err == nil && !phonenumbers.IsValidShortNumberForRegion(n, region) && phonenumbers.IsPossibleNumber(n):
		return stable(phonenumbers.Format(n, phonenumbers.E164))
	case len(digits) < 2 || len(digits) > 15:
		return "", "", &AddressError{"value", "must have 2 to 15 digits"}
	}
	return region, digits, nil
}

// internationalForm is E.164 for digits with their country code; false where libphonenumber knows no such form.
func internationalForm(number string) (string, bool) {
	n, err := phonenumbers.Parse(number, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", false
	}
	return phonenumbers.Format(n, phonenumbers.E164), true
}

// stable reads a number in E.164 until it stays as it is: libphonenumber strips a trunk prefix, once for each reading.
func stable(number string) (string, string, error) {
	for range 4 {
		again, ok := internationalForm(number)
		if !ok || again == number {
			return "", number, nil
		}
		number = again
	}
	return "", "", &AddressError{"value", "is an ambiguous telephone number"}
}

type spelling int

const (
	spelledWithDigits spelling = iota
	spelledWithLetters
	spelledWrong
)

// phoneSpelling says what a telephone number is spelled with, separators and a leading "+" aside.
func phoneSpelling(value string) spelling {
	kind := spelledWithDigits
	for i, r := range value {
		switch {
		case unicode.IsDigit(r), strings.ContainsRune(" -.()/", r), unicode.In(r, unicode.Pd, unicode.Zs):
		case i == 0 && (r == '+' || r == '＋'):
		case i > 0 && unicode.IsLetter(r):
			kind = spelledWithLetters
		default:
			return spelledWrong
		}
	}
	return kind
}

// isWithheld knows what switches and providers put in the place of a number: words, these words as spelled on the keys of
// a telephone, which some deliver with a "+", and zeros.
func isWithheld(value, digits string, international bool) bool {
	if international {
		switch digits {
		case "266696687", // anonymous
			"1266696687",
			"7378742833",  // restricted
			"2562533",     // blocked
			"8656696",     // unknown
			"86282452253", // unavailable
			"7748283":     // private
			return true
		}
	}
	if digits != "" {
		return strings.Trim(digits, "0") == ""
	}
	return isWithheldWord(value) || !strings.ContainsFunc(value, unicode.IsLetter)
}

// isWithheldWord knows the words in several spellings.
func isWithheldWord(value string) bool {
	word := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, value)
	switch word {
	case "anonymous", "anonym", "blocked", "blockednumber", "callerunknown", "hidden", "hiddennumber", "na", "nocallerid",
		"none", "notavailable", "null", "numberwithheld", "outofarea", "private", "privatecaller", "privatenumber",
		"restricted", "unavailable", "unbekannt", "undefined", "unknown", "unknowncaller", "unknownnumber", "withheld",
		"withheldnumber", "匿名", "未知", "未知号码", "隐藏号码", "私人号码":
		return true
	}
	return false
}

// cutPrefixFold cuts an ASCII prefix in any case.
func cutPrefixFold(s, prefix string) string {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):]
	}
	return s
}
