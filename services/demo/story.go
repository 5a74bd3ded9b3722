package demo

import (
	"time"

	"github.com/emersion/go-message/mail"
)

const (
	anna = "anna.weber@example.com"
	lina = "li.na@example.cn"
)

// scene is one mail before it is composed.
type scene struct {
	at                 time.Time
	id                 string   // Message-ID
	after              []string // Message-IDs before it in its thread
	from, to           *mail.Address
	subject, text      string
	fileName, fileType string
	file               []byte
}

// A kettle that leaks and a parcel that went astray: two customers, two threads, two languages.
func scenes() []scene {
	company := &mail.Address{Name: "Skein Home Support", Address: Inbox}
	annaWeber := &mail.Address{Name: "Anna Weber", Address: anna}
	liNa := &mail.Address{Name: "李娜", Address: lina}
	return []scene{
		{
			at: at(2, 8, 14), id: "kettle-1@mail.example.com", from: annaWeber, to: company,
			subject:  "Kettle leaks at the handle",
			text:     "Hello,\n\nthe kettle I bought on 20 February (order 4711) drips at the handle when it boils. A photo is attached.\nCan you send a new one?\n\nAnna Weber",
			fileName: "kettle.svg", fileType: "image/svg+xml",
			file: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><path d="M8 16h20v16H8zM28 18h6v8h-6" fill="none" stroke="#333"/><circle cx="31" cy="31" r="2" fill="#36c"/></svg>` + "\n"),
		},
		{
			at: at(2, 9, 2), id: "parcel-1@mail.example.cn", from: liNa, to: company,
			subject: "包裹显示已签收,但我没有收到",
			text:    "您好:\n\n订单 8802 的物流显示昨天已签收,可是我和邻居都没有收到包裹。\n请帮我查一下,谢谢!\n\n李娜",
		},
		{
			at: at(2, 9, 31), id: "kettle-2@skein.example", after: []string{"kettle-1@mail.example.com"}, from: company, to: annaWeber,
			subject: "Re: Kettle leaks at the handle",
			text:    "Dear Ms Weber,\n\nI am sorry about that. A new kettle leaves our warehouse today; you need not send the old one back.\n\nTom, Skein Home Support\n\nOn Mon, 2 Mar 2026 at 08:14, Anna Weber wrote:\n> the kettle I bought on 20 February (order 4711) drips at the handle when it boils.\n> Can you send a new one?",
		},
		{
			at: at(2, 10, 20), id: "parcel-2@skein.example", after: []string{"parcel-1@mail.example.cn"}, from: company, to: liNa,
			subject: "回复:包裹显示已签收,但我没有收到",
			text:    "李女士您好:\n\n我们联系了快递公司,包裹放在了小区东门的驿站,取件码 5-2-0917。\n给您添麻烦了,非常抱歉。\n\n小林,Skein 客服",
		},
		{
			at: at(3, 7, 45), id: "parcel-3@mail.example.cn", after: []string{"parcel-1@mail.example.cn", "parcel-2@skein.example"}, from: liNa, to: company,
			subject: "回复:包裹显示已签收,但我没有收到",
			text:    "已经取到了,非常感谢!\n\n在 2026年3月2日 18:20,Skein Home Support 写道:\n> 我们联系了快递公司,包裹放在了小区东门的驿站,取件码 5-2-0917。",
		},
		{
			at: at(5, 17, 3), id: "kettle-3@mail.example.com", after: []string{"kettle-1@mail.example.com", "kettle-2@skein.example"}, from: annaWeber, to: company,
			subject: "Re: Kettle leaks at the handle",
			text:    "It arrived and it does not leak. Thank you for the quick help!\n\nAnna\n\nOn Mon, 2 Mar 2026 at 09:31, Skein Home Support wrote:\n> A new kettle leaves our warehouse today; you need not send the old one back.",
		},
	}
}
