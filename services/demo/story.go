package demo

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/emersion/go-message/mail"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	anna      = "anna.weber@example.com"
	annaPhone = "+4930901820"
	// annaOpenID is who she is for the company's account at WeChat.
	annaOpenID = "oAnna0000000000000000000000"
	lina       = "li.na@example.cn"
)

// Who the customers are on the site.
var (
	annaVisit = Visit{Visitor: "anna-weber", Thread: "anna-weber-descaling"} //nolint:gochecknoglobals // read only
	linaVisit = Visit{Visitor: "li-na", Thread: "li-na-invoice"}             //nolint:gochecknoglobals // read only
)

// Story is what happens, in order of time: a kettle that leaks and a parcel that went astray, by mail, what both
// customers ask in the chat some days later, a call that waits in a queue and is handed over, and what one of them writes by
// WhatsApp and then, on a journey, by WeChat; two customers, five channels, two languages.
func Story() []Scene {
	company := &mail.Address{Name: "Skein Home Support", Address: Inbox}
	annaWeber := &mail.Address{Name: "Anna Weber", Address: anna}
	liNa := &mail.Address{Name: "李娜", Address: lina}
	tom := &Colleague{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: Tom, Name: "Tom"}
	xiaoLin := &Colleague{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: lin, Name: "小林"}
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
			Visit: linaVisit, By: xiaoLin, Text: "李女士您好，我是小林。包裹后来取到了就好！请把公司名称和税号发给我，发票今天开好。",
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
		{ID: "EV00000000000000000000000000000001", At: at(16, 10, 5), Call: routed("task-queue.entered", 1, at(16, 10, 5), nil)},
		{ID: "EV00000000000000000000000000000002", At: at(16, 10, 6), Call: routed("reservation.created", 2, at(16, 10, 6), byTom)},
		{ID: "EV00000000000000000000000000000003", At: at(16, 10, 7), Call: routed("reservation.accepted", 3, at(16, 10, 7), byTom)},
		{ID: "EV00000000000000000000000000000004", At: at(16, 10, 12), Call: routed("task.transfer-initiated", 4, at(16, 10, 12), handOver)},
		{ID: "EV00000000000000000000000000000005", At: at(16, 10, 13), Call: routed("reservation.accepted", 5, at(16, 10, 13), byMia)},
		{ID: "EV00000000000000000000000000000006", At: at(16, 10, 14), Call: routed("task.transfer-completed", 6, at(16, 10, 14), handOver)},
		{ID: annasCall + "/completed", At: at(16, 10, 21), Call: &Call{Kind: "call", Form: map[string]string{
			"CallSid": annasCall, "CallStatus": "completed", "SequenceNumber": "0", "Direction": "inbound", "From": annaPhone, "To": HotlineNumber,
			"CallDuration": "960", "Timestamp": at(16, 10, 21).Format(time.RFC1123Z), "CallerName": "Anna Weber",
		}}},
		{ID: "wamid.lid-1", At: at(18, 7, 50), Delivery: byWhatsApp("messages", at(18, 7, 50), `"messages":[{"from":"4930901820","id":"wamid.lid-1","type":"text",`+
			`"text":{"body":"Good morning! I am at work and cannot call. Which size is the spare lid for my kettle?"},`)},
		{ID: "wamid.lid-2", At: at(18, 7, 58), Delivery: byWhatsApp("smb_message_echoes", at(18, 7, 58), `"message_echoes":[{"from":"4930200100","to":"4930901820","id":"wamid.lid-2","type":"text",`+
			`"text":{"body":"Good morning, Ms Weber! 14 cm, the one for the old kettle fits as well. Shall I put one into the post? Mia"},`)},
		{ID: "wamid.lid-3", At: at(18, 8, 3), Delivery: byWhatsApp("messages", at(18, 8, 3), `"messages":[{"from":"4930901820","id":"wamid.lid-3","type":"text",`+
			`"text":{"body":"Yes, please 👍"},`)},
		{ID: "24471100000000001", At: at(22, 2, 15), Delivery: byWeChat(at(22, 2, 15), "24471100000000001", "Anna Weber here, in Shanghai for a month. Does your shop here descale kettles, too?")},
		{ID: "shop-2", At: at(22, 2, 21), Said: &eventv1.Submission{
			Type: event.TypeMessageSent, OccurredAt: timestamppb.New(at(22, 2, 21)), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE,
			Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: WeChat, Inbox: WeChat, Thread: annaOpenID, NativeId: "shop-2",
			Parties: []*eventv1.SubmittedParty{
				{Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: xiaoLin.Name},
				{
					Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat/" + WeChatApp, Value: annaOpenID},
					Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_CUSTOMER,
				},
			},
			Actor: &eventv1.SubmittedActor{Kind: xiaoLin.Kind, Id: xiaoLin.ID},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{
				Text: "Welcome to Shanghai, Ms Weber! Yes: 南京东路 100 号, daily from 10 to 20. Tom noted that your kettle's handle was exchanged; we will look at it, too.",
			}}},
		}},
		{ID: "24471100000000003", At: at(22, 2, 30), Delivery: byWeChat(at(22, 2, 30), "24471100000000003", "You even know about the handle. 太好了，谢谢小林！")},
	}
}

// byWhatsApp is what Meta tells of a message; it begins with its list and lacks the time.
func byWhatsApp(field string, when time.Time, message string) *Delivery {
	contacts := ""
	if field == "messages" {
		contacts = `"contacts":[{"profile":{"name":"Anna Weber"},"wa_id":"4930901820"}],`
	}
	return &Delivery{Inbox: WhatsApp, Body: `{"object":"whatsapp_business_account","entry":[{"id":"` + WhatsAppBusinessID + `","changes":[{"field":"` + field + `","value":{` +
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"4930200100","phone_number_id":"` + WhatsAppNumberID + `"},` + contacts +
		message + `"timestamp":"` + strconv.FormatInt(when.Unix(), 10) + `"}]}}]}]}`}
}

// byWeChat is a text that Anna writes to the official account.
func byWeChat(when time.Time, id, text string) *Delivery {
	return &Delivery{Inbox: WeChat, Body: "<xml><ToUserName><![CDATA[gh_471100000000]]></ToUserName><FromUserName><![CDATA[" + annaOpenID + "]]></FromUserName>" +
		"<CreateTime>" + strconv.FormatInt(when.Unix(), 10) + "</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[" + text + "]]></Content><MsgId>" + id + "</MsgId></xml>"}
}

// annasCall is the call's id, and annasTask the one under which it is routed.
const (
	annasCall = "CA00000000000000000000000000004711"
	annasTask = "WT00000000000000000000000000004711"
)

// What TaskRouter tells beside what all of its events hold.
//
//nolint:gochecknoglobals // read only
var (
	byTom = map[string]string{
		"ReservationSid": "WR00000000000000000000000000000001", "WorkerSid": tomsWorker, "WorkerName": "Tom",
	}
	byMia = map[string]string{
		"ReservationSid": "WR00000000000000000000000000000002", "WorkerSid": miasWorker, "WorkerName": "Mia",
	}
	handOver = map[string]string{
		"TransferSid": "TT00000000000000000000000000000001", "TransferMode": "WARM", "TransferTo": miasWorker,
		"TransferInitiatingReservationSid": "WR00000000000000000000000000000001", "TransferInitiatingWorkerSid": tomsWorker,
	}
)

// routed is what TaskRouter tells of Anna's call.
func routed(what string, n int, when time.Time, more map[string]string) *Call {
	form := map[string]string{
		"EventType": what, "Sid": fmt.Sprintf("EV%032d", n), "TimestampMs": strconv.FormatInt(when.UnixMilli(), 10),
		"TaskSid": annasTask, "TaskQueueSid": "WQ00000000000000000000000000000001", "TaskQueueName": kettlesQueue, "TaskChannelUniqueName": "voice",
		"TaskAttributes": `{"call_sid":"` + annasCall + `","from":"` + annaPhone + `","to":"` + HotlineNumber + `","direction":"inbound"}`,
	}
	maps.Copy(form, more)
	return &Call{Kind: "taskrouter", Form: form}
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, time.March, day, hour, minute, 0, 0, time.UTC)
}
