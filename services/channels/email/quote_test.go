package email_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/channels/email"
)

func TestSplitQuoteTellsNewTextFromOld(t *testing.T) {
	for name, tt := range map[string]struct{ text, fresh, quoted string }{
		"nothing quoted":  {"Hello\n\nJo", "Hello\n\nJo", ""},
		"empty":           {"", "", ""},
		"answer above":    {"Yes.\n\nOn Mon, Jo wrote:\n> Is it?\n>\n> Jo\n", "Yes.", "On Mon, Jo wrote:\n> Is it?\n>\n> Jo"},
		"answer below":    {"On Mon, Jo wrote:\n> Is it?\n\nYes.", "Yes.", "On Mon, Jo wrote:\n> Is it?"},
		"answers between": {"Jo wrote:\n> One?\nYes.\n> Two?\nNo.", "Yes.\nNo.", "Jo wrote:\n> One?\n> Two?"},
		"a wrapped line": {
			"Yes.\n\nOn Mon, Mar 2, 2026 at 9:15 AM, Jo Park\n<jo@example.com>\nwrote:\n\n> Is it?",
			"Yes.", "On Mon, Mar 2, 2026 at 9:15 AM, Jo Park\n<jo@example.com>\nwrote:\n\n> Is it?",
		},
		"Chinese":              {"好的。\n\n在 2026-03-02 18:00:00，\"客服\" <help@lumen.example> 写道：\n> 请确认。", "好的。", "在 2026-03-02 18:00:00，\"客服\" <help@lumen.example> 写道：\n> 请确认。"},
		"Chinese, date first":  {"好的。\n\n2026年3月2日 18:00，客服 <help@lumen.example>写道：\n\n> 请确认。", "好的。", "2026年3月2日 18:00，客服 <help@lumen.example>写道：\n\n> 请确认。"},
		"Chinese without sign": {"好的。\n\n在2026年3月2日 18:00，客服写道：\n请确认。", "好的。", "在2026年3月2日 18:00，客服写道：\n请确认。"},
		"Chinese header": {
			"好的。\n\n发件人： 客服\n发送时间： 2026年3月2日\n收件人： 王小明\n主题： 订单\n\n请确认。",
			"好的。", "发件人： 客服\n发送时间： 2026年3月2日\n收件人： 王小明\n主题： 订单\n\n请确认。",
		},
		"Chinese rule":   {"好的。\n\n-----原始邮件-----\n请确认。", "好的。", "-----原始邮件-----\n请确认。"},
		"Traditional":    {"好的。\n\nJo <jo@example.tw> 於 2026年3月2日 18:00 寫道：\n\n> 請確認。", "好的。", "Jo <jo@example.tw> 於 2026年3月2日 18:00 寫道：\n\n> 請確認。"},
		"German":         {"Ja.\n\nAm 02.03.26 um 09:15 schrieb Jo Park:\n> Stimmt es?", "Ja.", "Am 02.03.26 um 09:15 schrieb Jo Park:\n> Stimmt es?"},
		"French":         {"Oui.\n\nLe lun. 2 mars 2026 à 09:15, Jo Park a écrit :\n> Vrai ?", "Oui.", "Le lun. 2 mars 2026 à 09:15, Jo Park a écrit :\n> Vrai ?"},
		"Spanish":        {"Sí.\n\nEl lun, 2 mar 2026 a las 9:15, Jo Park escribió:\n> ¿Verdad?", "Sí.", "El lun, 2 mar 2026 a las 9:15, Jo Park escribió:\n> ¿Verdad?"},
		"German header":  {"Ja.\n\nVon: Jo\nGesendet: Montag\nAn: Kim\nBetreff: x\n\nStimmt es?", "Ja.", "Von: Jo\nGesendet: Montag\nAn: Kim\nBetreff: x\n\nStimmt es?"},
		"Outlook":        {"Yes.\n\n-----Original Message-----\nFrom: Jo\nSent: Monday\n\nIs it?\n> older", "Yes.", "-----Original Message-----\nFrom: Jo\nSent: Monday\n\nIs it?\n> older"},
		"Outlook's rule": {"Yes.\n\n________________________________\n\nFrom: Jo\nSent: Monday\nTo: Kim\n\nIs it?", "Yes.", "________________________________\n\nFrom: Jo\nSent: Monday\nTo: Kim\n\nIs it?"},
		"Outlook Express": {
			"----- Original Message -----\nFrom: Jo\nTo: Kim\n\n> Is it?\n\nYes.", "Yes.", "----- Original Message -----\nFrom: Jo\nTo: Kim\n\n> Is it?",
		},
		"forwarded":            {"Look:\n\n---------- Forwarded message ---------\nFrom: Jo\n\nText", "Look:", "---------- Forwarded message ---------\nFrom: Jo\n\nText"},
		"forwarded by Apple":   {"Look\n\nBegin forwarded message:\n\nFrom: Jo", "Look", "Begin forwarded message:\n\nFrom: Jo"},
		"another sign":         {"On 2 Mar 2026, Jo wrote:\n--]Is it\n--]true?\n\nYes.", "Yes.", "On 2 Mar 2026, Jo wrote:\n--]Is it\n--]true?"},
		"signature stays":      {"Yes.\n\n-- \nJo\n+49 30 1", "Yes.\n\n-- \nJo\n+49 30 1", ""},
		"the author's wrote":   {"As he wrote:\nit is true.", "As he wrote:\nit is true.", ""},
		"the author's list":    {"He said:\n- one\n- two", "He said:\n- one\n- two", ""},
		"an escaped From":      {"Hi\n>From here on it works.\nJo", "Hi\n>From here on it works.\nJo", ""},
		"a From in the text":   {"From: Berlin\nto Paris", "From: Berlin\nto Paris", ""},
		"only quoted":          {"> old", "", "> old"},
		"a rule of the author": {"a\n--------------\nb", "a\n--------------\nb", ""},
	} {
		fresh, quoted := email.SplitQuote(tt.text)
		if fresh != tt.fresh || quoted != tt.quoted {
			t.Errorf("%s\nnew    %q\nwant   %q\nquoted %q\nwant   %q", name, fresh, tt.fresh, quoted, tt.quoted)
		}
	}
}

func FuzzSplitQuote(f *testing.F) {
	for _, seed := range []string{
		"Yes.\n\nOn Mon, Jo wrote:\n> Is it?\n\nx", "好的。\n在 2026 写道：\n请", "-----Original Message-----\nFrom: x\nSent: y\n\nz\n> a",
		"____________\n\nFrom: a\nTo: b\nSubject: c", "a wrote:\n--]b\n--]c\n#d", strings.Repeat("To: x wrote:\n", 50),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fresh, quoted := email.SplitQuote(text)
		words := map[string]int{}
		for word := range strings.FieldsSeq(text) {
			words[word]++
		}
		for _, part := range []string{fresh, quoted} {
			for word := range strings.FieldsSeq(part) {
				words[word]--
			}
		}
		for word, n := range words {
			if n != 0 {
				t.Fatalf("%q stands %d times too seldom in new %q and quoted %q", word, n, fresh, quoted)
			}
		}
	})
}
