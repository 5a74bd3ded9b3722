package event_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	phone      = eventv1.EndpointKind_ENDPOINT_KIND_PHONE
	email      = eventv1.EndpointKind_ENDPOINT_KIND_EMAIL
	visitor    = eventv1.EndpointKind_ENDPOINT_KIND_VISITOR
	social     = eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL
	sip        = eventv1.EndpointKind_ENDPOINT_KIND_SIP
	identifier = eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
)

func TestAddressesOfOneEndpointHaveOneForm(t *testing.T) {
	for _, tt := range []struct {
		kind          eventv1.EndpointKind
		namespace     string
		region, value string
		want          string
		wantNamespace string
	}{
		{kind: phone, value: "+49 (0)30 901820", want: "+4930901820"},
		{kind: phone, value: "tel:+49-30-901820;ext=7", want: "+4930901820"},
		{kind: phone, value: "030 901820", region: "DE", want: "+4930901820"},
		{kind: phone, value: "0049 30 901820", region: "DE", want: "+4930901820"},
		{kind: phone, value: "0049 30 901820", want: "+4930901820"},
		{kind: phone, value: "011 49 30 901820", region: "US", want: "+4930901820"},
		{kind: phone, value: "(212) 736-5000", region: "US", want: "+12127365000"},
		{kind: phone, value: "1-800-FLOWERS", region: "US", want: "+18003569377"},
		{kind: phone, value: "+1 212 736 5000 ext. 12", want: "+12127365000"},
		{kind: phone, value: "138 0013 8000", region: "CN", want: "+8613800138000"},
		{kind: phone, value: "＋８６１３８００１３８０００", want: "+8613800138000"},
		{kind: phone, value: "010-12345678", region: "CN", want: "+861012345678"},
		{kind: phone, value: "02 1234 5678", region: "IT", want: "+390212345678"},
		{kind: phone, value: "110", region: "DE", want: "110", wantNamespace: "DE"},
		{kind: phone, value: "95588", region: "CN", want: "95588", wantNamespace: "CN"},
		{kind: phone, value: "10086", region: "CN", want: "10086", wantNamespace: "CN"},
		{kind: phone, value: "22333", region: "US", want: "22333", wantNamespace: "US"},
		{kind: phone, value: "204", want: "204"},
		{kind: phone, value: "+999123456", want: "+999123456"},
		{kind: phone, value: "+1000", want: "+1000"},

		{kind: email, value: " Anna.Berg@Example.COM ", want: "anna.berg@example.com"},
		{kind: email, value: "root@localhost", want: "root@localhost"},
		{kind: email, value: "a..b.@docomo.ne.jp", want: "a..b.@docomo.ne.jp"},
		{kind: email, value: "x@my_host.example.", want: "x@my_host.example"},
		{kind: email, value: "x@r3---sn-1.example", want: "x@r3---sn-1.example"},
		{kind: email, value: `"Anna"@example.com`, want: "anna@example.com"},
		{kind: email, value: `"anna \"b\" berg"@example.com`, want: `"anna \"b\" berg"@example.com`},
		{kind: email, value: `"a@b"@example.com`, want: `"a@b"@example.com`},
		{kind: email, value: "bounce+anna=example.com@list.example", want: "bounce+anna=example.com@list.example"},
		{kind: email, value: "Jürgen@MÜNCHEN.de", want: "jürgen@xn--mnchen-3ya.de"},
		{kind: email, value: "u\u0308@münchen.de", want: "ü@xn--mnchen-3ya.de"},
		{kind: email, value: "用户@例子。中国", want: "用户@xn--fsqu00a.xn--fiqs8s"},
		{kind: email, value: "x@XN--MNCHEN-3YA.de", want: "x@xn--mnchen-3ya.de"},
		{kind: email, value: "x@xn--a", want: "x@xn--a"},
		{kind: email, value: "x@[192.0.2.1]", want: "x@[192.0.2.1]"},
		{kind: email, value: "x@[IPv6:2001:DB8:0::1]", want: "x@[ipv6:2001:db8::1]"},

		{kind: visitor, value: " Abc ", want: "Abc"},
		{kind: visitor, namespace: "Shop/Berlin", value: "42", want: "42", wantNamespace: "shop/Berlin"},
		{kind: social, namespace: "WeChat/gh_1", value: "oPENID", want: "oPENID", wantNamespace: "wechat/gh_1"},
		{kind: social, namespace: "weibo/1", value: "e\u0301", want: "é", wantNamespace: "weibo/1"},
		{kind: identifier, namespace: "CRM", value: "4711", want: "4711", wantNamespace: "crm"},

		{kind: sip, value: "sip:Alice:secret@Example.COM:5062;transport=tcp?subject=x", want: "Alice@example.com"},
		{kind: sip, value: "SIPS:alice@example.com", want: "alice@example.com"},
		{kind: sip, value: "+4930;phone-context=x@gw.example", want: "+4930;phone-context=x@gw.example"},
		{kind: sip, value: "sip:192.0.2.1:5080", want: "192.0.2.1"},
		{kind: sip, value: "sip:bob@[2001:DB8::1]:5060", want: "bob@[2001:db8::1]"},
	} {
		t.Run(tt.kind.String()+" "+tt.value, func(t *testing.T) {
			got, err := event.Normalise(&eventv1.Address{Kind: tt.kind, Namespace: tt.namespace, Region: tt.region, Value: tt.value})
			want := event.Endpoint{Kind: tt.kind, Namespace: tt.wantNamespace, Value: tt.want}
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestAWithheldAddressIsAPartyWithoutEndpoint(t *testing.T) {
	for kind, values := range map[eventv1.EndpointKind][]string{
		phone: {
			"", " ", "anonymous", "Anonymous", "Restricted", "UNKNOWN", "unavailable", "private", "Private Number",
			"withheld", "No Caller ID", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "+7748283",
			"+1266696687", "0", "000000", "***", "+", "未知号码", "N/A",
		},
		email:      {"", "<>"},
		visitor:    {"", "\t"},
		social:     {""},
		identifier: {""},
		sip: {
			"", "sip:anonymous@anonymous.invalid", "sip:c8oqz84zk7z@Anonymous.Invalid", "sip:anonymous@192.0.2.1", "anonymous",
			"sip:anonymous;phone-context=example.com@192.0.2.1", "anonymous;tag=1", "anonymous:5060", "sip:ANONYMOUS?subject=x",
			"Unknown@pbx.example",
		},
	} {
		for _, value := range values {
			if _, err := event.Normalise(&eventv1.Address{Kind: kind, Value: value}); !errors.Is(err, event.ErrNoEndpoint) {
				t.Errorf("%v %q: %v", kind, value, err)
			}
		}
	}
}

func TestAWrongAddressIsRefusedByField(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, tt := range []struct {
		field string
		a     *eventv1.Address
	}{
		{"kind", &eventv1.Address{Value: "x"}},
		{"kind", &eventv1.Address{Kind: 99, Value: "x"}},
		{"kind", &eventv1.Address{Kind: -1, Value: "x"}},
		{"value", &eventv1.Address{Kind: phone, Value: "030901820"}},
		{"value", &eventv1.Address{Kind: phone, Value: "4930901820"}},
		{"value", &eventv1.Address{Kind: phone, Value: "AMAZON"}},
		{"value", &eventv1.Address{Kind: phone, Value: "+49 30 901820 or +49 30 901821"}},
		{"value", &eventv1.Address{Kind: phone, Value: "+49+30"}},
		{"value", &eventv1.Address{Kind: phone, Value: "*100#"}},
		{"value", &eventv1.Address{Kind: phone, Value: "+12345678901234567890"}},
		{"value", &eventv1.Address{Kind: phone, Value: "anna@example.com"}},
		{"region", &eventv1.Address{Kind: phone, Value: "110", Region: "XX"}},
		{"region", &eventv1.Address{Kind: phone, Value: "110", Region: "de"}},
		{"namespace", &eventv1.Address{Kind: phone, Value: "+4930901820", Namespace: "crm"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna"}},
		{"value", &eventv1.Address{Kind: email, Value: "@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@"}},
		{"value", &eventv1.Address{Kind: email, Value: "Anna <anna@example.com>"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@example.com, bert@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@exa mple.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "an na@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@example..com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@b@c"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna\x00@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna\xff@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: `"anna@example.com`}},
		{"value", &eventv1.Address{Kind: email, Value: `"anna"b@example.com`}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@" + long[:64] + ".com"}},
		{"value", &eventv1.Address{Kind: email, Value: long[:257] + "@example.com"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@\u0378.de"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@[300.1.1.1]"}},
		{"value", &eventv1.Address{Kind: email, Value: "anna@[192.0.2.1"}},
		{"value", &eventv1.Address{Kind: visitor, Value: "a\nb"}},
		{"value", &eventv1.Address{Kind: visitor, Value: "a\u2028b"}},
		{"value", &eventv1.Address{Kind: visitor, Value: long}},
		{"namespace", &eventv1.Address{Kind: social, Value: "x"}},
		{"namespace", &eventv1.Address{Kind: identifier, Value: "x"}},
		{"namespace", &eventv1.Address{Kind: identifier, Value: "x", Namespace: "c r m"}},
		{"namespace", &eventv1.Address{Kind: identifier, Value: "x", Namespace: "/crm"}},
		{"value", &eventv1.Address{Kind: sip, Value: `"Alice" <sip:alice@example.com>`}},
		{"value", &eventv1.Address{Kind: sip, Value: "sip:@example.com"}},
		{"value", &eventv1.Address{Kind: sip, Value: "sip:alice@example.com:sip"}},
		{"value", &eventv1.Address{Kind: sip, Value: "sip:alice@"}},
	} {
		_, err := event.Normalise(tt.a)
		var wrong *event.AddressError
		if !errors.As(err, &wrong) || wrong.Field != tt.field {
			t.Errorf("%v: got %v, want an error about %s", tt.a, err, tt.field)
		}
	}
}

func TestAReplacementCharacterIsAllowedInAnIdButAWrongByteIsNot(t *testing.T) {
	if _, err := event.Normalise(&eventv1.Address{Kind: visitor, Value: "a\uFFFDb"}); err != nil {
		t.Error(err)
	}
	if _, err := event.Normalise(&eventv1.Address{Kind: visitor, Value: "a\xffb"}); err == nil {
		t.Error("a wrong byte passed")
	}
}

// someAddress draws addresses that are near to what Normalise accepts, and some that are not.
func someAddress() *rapid.Generator[*eventv1.Address] {
	words := rapid.SampledFrom([]string{
		"anna", "Ünï", "例子", "+", "0049", "030", "901820", "212", "@", ".", "example", "com", "[", "]",
		"192.0.2.1", "ipv6:", "::1", `"`, `\`, " ", "-", "(", ")", "sip:", "sips:", ":", ";", "?", "5060", "xn--", "İ", "ſ", "K", "ǰ", "J\u030c",
		"。", "\u0338", "<", "ẞ", "tel:", "ext", "٣", "110", "anonymous", "/", "%", "_", "ﬃ", "\u200d", "\uFFFD",
	})
	value := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(words, 0, 8), func(s []string) string { return strings.Join(s, "") }),
		rapid.StringMatching(`\+?[0-9 ()-]{2,16}`),
		rapid.StringMatching(`\+?[0-9]{3,15}`),
		rapid.StringMatching(`[a-zA-Z.+_-]{1,20}@[a-zA-Z0-9-]{1,20}\.(COM|de|co\.uk)`),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) *eventv1.Address {
		return &eventv1.Address{
			Kind:      eventv1.EndpointKind(rapid.Int32Range(0, 7).Draw(t, "kind")),
			Value:     value.Draw(t, "value"),
			Namespace: rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[A-Za-z0-9._:/-]{0,20}`)).Draw(t, "namespace"),
			Region:    rapid.SampledFrom([]string{"", "", "DE", "US", "CN", "AR", "MX", "BR", "IT", "GB", "RU", "KZ", "HU", "BJ", "XX"}).Draw(t, "region"),
		}
	})
}

func checkNormalised(t interface{ Fatalf(string, ...any) }, a *eventv1.Address) {
	e, err := event.Normalise(a)
	if err != nil {
		var wrong *event.AddressError
		if !errors.Is(err, event.ErrNoEndpoint) && !errors.As(err, &wrong) {
			t.Fatalf("%v: an error of another kind: %v", a, err)
		}
		return
	}
	if again, err := event.Normalise(e.Address()); err != nil || again != e {
		t.Fatalf("%v gives %+v, but normalised again %+v, %v", a, e, again, err)
	}
	text := event.FormatAddress(e.Address())
	parsed, err := event.ParseAddress(text)
	if err != nil || !proto.Equal(parsed, e.Address()) {
		t.Fatalf("%v is written %q, which reads %v, %v", e.Address(), text, parsed, err)
	}
}

func TestANormalisedAddressStaysAsItIsAndSurvivesItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkNormalised(t, someAddress().Draw(t, "address")) })
}

func FuzzNormalise(f *testing.F) {
	f.Fuzz(func(t *testing.T, kind int32, namespace, region, value string) {
		checkNormalised(t, &eventv1.Address{Kind: eventv1.EndpointKind(kind), Namespace: namespace, Region: region, Value: value})
	})
}

func TestAnAddressIsReadFromText(t *testing.T) {
	for text, want := range map[string]*eventv1.Address{
		"anna@example.com":               {Kind: email, Value: "anna@example.com"},
		"mailto:Anna@example.com":        {Kind: email, Value: "Anna@example.com"},
		"+tag@example.com":               {Kind: email, Value: "+tag@example.com"},
		"id/x@example.com":               {Kind: email, Value: "id/x@example.com"},
		" +49 30 901820 ":                {Kind: phone, Value: "+49 30 901820"},
		"tel:+4930901820":                {Kind: phone, Value: "+4930901820"},
		"TEL:030901820;phone-context=de": {Kind: phone, Value: "030901820", Region: "DE"},
		"sip:alice@example.com":          {Kind: sip, Value: "alice@example.com"},
		"visitor:a:b":                    {Kind: visitor, Value: "a:b"},
		"Visitor/Shop:42":                {Kind: visitor, Namespace: "Shop", Value: "42"},
		"social:wechat/gh_1:OPENID":      {Kind: social, Namespace: "wechat/gh_1", Value: "OPENID"},
		"id:crm:4711":                    {Kind: identifier, Namespace: "crm", Value: "4711"},
		"id:urn%3Acrm:4711:1":            {Kind: identifier, Namespace: "urn:crm", Value: "4711:1"},
	} {
		if got, err := event.ParseAddress(text); err != nil || !proto.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestTextThatIsNoAddressIsToldTheForms(t *testing.T) {
	for _, text := range []string{"", "anna", "4930901820", "http://example.com", "fax:1"} {
		if _, err := event.ParseAddress(text); !errors.Is(err, event.ErrAddressForm) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"social:wechat", "social::x", "id:crm", "id:crm:", "tel:anonymous", "tel:0301234567", "mailto:anna"} {
		if _, err := event.ParseAddress(text); err == nil {
			t.Errorf("%q was taken for an address", text)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		a, err := event.ParseAddress(s)
		if err != nil {
			return
		}
		want, err := event.Normalise(a)
		if err != nil {
			t.Fatalf("%q reads %v, which is refused: %v", s, a, err)
		}
		again, err := event.ParseAddress(event.FormatAddress(want.Address()))
		if err != nil || !proto.Equal(again, want.Address()) {
			t.Fatalf("%q reads %v, but its normalised form reads %v, %v", s, a, again, err)
		}
	})
}

func BenchmarkNormalise(b *testing.B) {
	for name, a := range map[string]*eventv1.Address{
		"phone":    {Kind: phone, Value: "+49 30 901820"},
		"national": {Kind: phone, Value: "030 901820", Region: "DE"},
		"mail":     {Kind: email, Value: "Anna.Berg@Example.com"},
		"visitor":  {Kind: visitor, Value: "8d3c0e2a"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Normalise(a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
