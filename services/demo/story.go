package demo

import (
	"time"

	"github.com/emersion/go-message/mail"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	anna = "anna.weber@example.com"
	lina = "li.na@example.cn"
)

// Who the customers are on the site.
var (
	annaVisit = Visit{Visitor: "anna-weber", Thread: "anna-weber-descaling"} //nolint:gochecknoglobals // read only
	linaVisit = Visit{Visitor: "li-na", Thread: "li-na-invoice"}             //nolint:gochecknoglobals // read only
)

// Story is what happens, in order of time: a kettle that leaks and a parcel that went astray, by mail, and what both
// customers ask in the chat some days later; two customers, two channels, two languages.
func Story() []Scene {
	company := &mail.Address{Name: "Skein Home Support", Address: Inbox}
	annaWeber := &mail.Address{Name: "Anna Weber", Address: anna}
	liNa := &mail.Address{Name: "李娜", Address: lina}
	tom := &Colleague{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: "tom", Name: "Tom"}
	lin := &Colleague{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: "lin", Name: "小林"}
	bot := &Colleague{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, ID: "assistant", Name: "智能助手"}
	return []Scene{
		{ID: "kettle-1@mail.example.com", At: at(2, 8, 14), Mail: &Mail{
			From: annaWeber, To: company,
			Subject:  "Kettle leaks at the handle",
			Text:     "Hello,\n\nthe kettle I bought on 20 February (order 4711) drips at the handle when it boils. A photo is attached.\nCan you send a new one?\n\nAnna Weber",
			FileName: "kettle.svg", FileType: "image/svg+xml",
			File: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><path d="M8 16h20v16H8zM28 18h6v8h-6" fill="none" stroke="#333"/><circle cx="31" cy="31" r="2" fill="#36c"/></svg>` + "\n"),
		}},
		{ID: "parcel-1@mail.example.cn", At: at(2, 9, 2), Mail: &Mail{
			From: liNa, To: company,
			Subject: "包裹显示已签收,但我没有收到",
			Text:    "您好:\n\n订单 8802 的物流显示昨天已签收,可是我和邻居都没有收到包裹。\n请帮我查一下,谢谢!\n\n李娜",
		}},
		{ID: "kettle-2@skein.example", At: at(2, 9, 31), Mail: &Mail{
			From: company, To: annaWeber, After: []string{"kettle-1@mail.example.com"},
			Subject: "Re: Kettle leaks at the handle",
			Text:    "Dear Ms Weber,\n\nI am sorry about that. A new kettle leaves our warehouse today; you need not send the old one back.\n\nTom, Skein Home Support\n\nOn Mon, 2 Mar 2026 at 08:14, Anna Weber wrote:\n> the kettle I bought on 20 February (order 4711) drips at the handle when it boils.\n> Can you send a new one?",
		}},
		{ID: "parcel-2@skein.example", At: at(2, 10, 20), Mail: &Mail{
			From: company, To: liNa, After: []string{"parcel-1@mail.example.cn"},
			Subject: "回复:包裹显示已签收,但我没有收到",
			Text:    "李女士您好:\n\n我们联系了快递公司,包裹放在了小区东门的驿站,取件码 5-2-0917。\n给您添麻烦了,非常抱歉。\n\n小林,Skein 客服",
		}},
		{ID: "parcel-3@mail.example.cn", At: at(3, 7, 45), Mail: &Mail{
			From: liNa, To: company, After: []string{"parcel-1@mail.example.cn", "parcel-2@skein.example"},
			Subject: "回复:包裹显示已签收,但我没有收到",
			Text:    "已经取到了,非常感谢!\n\n在 2026年3月2日 18:20,Skein Home Support 写道:\n> 我们联系了快递公司,包裹放在了小区东门的驿站,取件码 5-2-0917。",
		}},
		{ID: "kettle-3@mail.example.com", At: at(5, 17, 3), Mail: &Mail{
			From: annaWeber, To: company, After: []string{"kettle-1@mail.example.com", "kettle-2@skein.example"},
			Subject: "Re: Kettle leaks at the handle",
			Text:    "It arrived and it does not leak. Thank you for the quick help!\n\nAnna\n\nOn Mon, 2 Mar 2026 at 09:31, Skein Home Support wrote:\n> A new kettle leaves our warehouse today; you need not send the old one back.",
		}},
		{ID: "invoice-1", At: at(9, 3, 12), Line: &Line{
			Visit: linaVisit, Text: "你好，订单 8802 可以开公司抬头的发票吗？",
		}},
		{ID: "invoice-2", At: at(9, 3, 13), Line: &Line{
			Visit: linaVisit, By: bot, Text: "您好，我是智能助手。个人发票可以在订单页面申请；公司抬头的发票，我为您转接人工客服。",
		}},
		{ID: "invoice-3", At: at(9, 3, 14), Line: &Line{
			Visit: linaVisit, By: lin, Text: "李女士您好，我是小林。包裹后来取到了就好！请把公司名称和税号发给我，发票今天开好。",
		}},
		{ID: "invoice-4", At: at(9, 3, 15), Line: &Line{
			Visit: linaVisit, Text: "不用再解释一遍，真好。公司名称和税号我马上发到邮箱，谢谢！",
		}},
		{ID: "descaling-1", At: at(12, 18, 40), Line: &Line{
			Visit: annaVisit, Text: "Hello, there is a white film in my new kettle. How do I get rid of it?",
		}},
		{ID: "descaling-2", At: at(12, 18, 42), Line: &Line{
			Visit: annaVisit, By: tom, Text: "Hello Ms Weber, that is limescale, and harmless. Boil half a litre of water with two spoonfuls of citric acid, wait 20 minutes, and rinse twice. Does the handle stay dry?",
		}},
		{ID: "descaling-3", At: at(12, 18, 55), Line: &Line{
			Visit: annaVisit, Text: "It does. And the kettle shines again, thank you, Tom!",
		}},
	}
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, time.March, day, hour, minute, 0, 0, time.UTC)
}
