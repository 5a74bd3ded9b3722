package twilio_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

// Each line is a status of a call and what it gives: type, direction/origin and the sides of its parties.
func TestWhoCallsWhomDecidesWhatACallIs(t *testing.T) {
	const child = "CA00000000000000000000000000000009"
	for name, c := range map[string]struct {
		parameters []string
		want       []string
	}{
		"a customer calls": {
			[]string{"Direction", "inbound", "From", "+4930901820", "To", "+4930200200"},
			[]string{"interaction.started inbound/inbound customer company", "interaction.ended inbound/inbound customer company"},
		},
		"a customer calls a number of ours that is not configured": {
			[]string{"Direction", "inbound", "From", "+4930901820", "To", "+4930999999"},
			[]string{"interaction.started inbound/inbound customer company", "interaction.ended inbound/inbound customer company"},
		},
		"a customer calls with a withheld number": {
			[]string{"Direction", "inbound", "From", "+266696687", "To", "+4930200200"},
			[]string{"interaction.started inbound/inbound customer company", "interaction.ended inbound/inbound customer company"},
		},
		"a customer calls without any number": {
			[]string{"Direction", "inbound", "To", "+4930200200"},
			[]string{"interaction.started inbound/inbound customer company", "interaction.ended inbound/inbound customer company"},
		},
		"a customer calls by SIP": {
			[]string{"Direction", "inbound", "From", "sip:max@example.com", "To", "sip:sales@lumen.sip.twilio.com"},
			[]string{"interaction.started inbound/inbound customer company", "interaction.ended inbound/inbound customer company"},
		},
		"the company calls by the API": {
			[]string{"Direction", "outbound-api", "From", "+4930200200", "To", "+4930901820"},
			[]string{"interaction.started outbound/outbound company customer", "interaction.ended outbound/outbound company customer"},
		},
		"an agent's browser calls a customer": {
			[]string{"Direction", "inbound", "From", "client:dora", "To", "+4930901820"},
			[]string{"interaction.started outbound/outbound company customer", "interaction.ended outbound/outbound company customer"},
		},
		"an agent's browser calls, and only a leg tells whom": {
			[]string{"Direction", "inbound", "From", "client:dora", "To", ""},
			[]string{"interaction.started outbound/outbound company", "interaction.ended outbound/outbound company"},
		},
		"that leg": {
			[]string{"Direction", "outbound-dial", "ParentCallSid", child, "From", "+4930200200", "To", "+4930901820"},
			[]string{"thread.joined unspecified"},
		},
		"an agent's leg is dialled by the API": {
			[]string{"Direction", "outbound-api", "From", "+4930200200", "To", "client:dora"}, nil,
		},
		"an agent's leg in a customer's call": {
			[]string{"Direction", "outbound-dial", "ParentCallSid", child, "From", "+4930901820", "To", "client:dora"},
			[]string{"assignment.ended inbound/inbound customer company", "thread.joined unspecified"},
		},
		"a third party's leg in a customer's call": {
			[]string{"Direction", "outbound-dial", "ParentCallSid", child, "From", "+4930901820", "To", "+4930555123"},
			[]string{"thread.joined unspecified"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := webhookOf(twilio.KindCall, append([]string{
				"CallSid", "CA00000000000000000000000000000001", "CallStatus", "completed", "SequenceNumber", "0", "Timestamp", "Mon, 02 Mar 2026 09:00:00 +0000",
			}, c.parameters...)...)
			host := channeltest.NewHost()
			if answer := post(open(t, host, nil), d, sign); answer.Code != http.StatusOK || len(host.Rejections()) > 0 {
				t.Fatal(answer.Code, host.Rejections())
			}
			var got []string
			for _, e := range host.Events() {
				s := e.Submission
				line := s.GetType() + " " + lower(s.GetDirection().String(), "DIRECTION_")
				if s.GetOrigin() != 0 {
					line += "/" + lower(s.GetOrigin().String(), "ORIGIN_")
				}
				for _, p := range s.GetParties() {
					line += " " + lower(p.GetSide().String(), "SIDE_")
				}
				got = append(got, line)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func lower(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

// How a call failed is told by its status, and better by the SIP response.
func TestACallFailsForAReason(t *testing.T) {
	for _, c := range []struct{ status, sip, failure, reason, end string }{
		{"busy", "486", "busy", "SIP 486", "system"},
		{"busy", "603", "rejected", "SIP 603", "system"},
		{"no-answer", "", "no_answer", "no-answer", "system"},
		{"canceled", "487", "canceled", "SIP 487", "agent"},
		{"failed", "503", "congestion", "SIP 503", "error"},
		{"failed", "404", "error", "SIP 404", "error"},
		{"failed", "", "error", "failed", "error"},
	} {
		host := channeltest.NewHost()
		post(open(t, host, nil), webhookOf(twilio.KindCall, "CallSid", "CA00000000000000000000000000000001", "CallStatus", c.status, "SipResponseCode", c.sip,
			"SequenceNumber", "2", "Timestamp", "Mon, 02 Mar 2026 09:00:00 +0000", "Direction", "outbound-api", "From", "+4930200200", "To", "+4930901820"), sign)
		if len(host.Events()) != 2 {
			t.Fatalf("%v: %d events", c, len(host.Events()))
		}
		f, e := host.Events()[0].Content.GetCallFailed(), host.Events()[1].Content.GetInteractionEnded()
		if lower(f.GetFailure().String(), "CALL_FAILURE_") != c.failure || f.GetProviderReason() != c.reason ||
			lower(e.GetReason().String(), "END_REASON_") != c.end || e.GetProviderReason() != c.status {
			t.Errorf("%v: %v, %v", c, f, e)
		}
	}
}

func TestATaskThatIsNoCallIsAnInteractionOfItsOwn(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host, nil)
	task := func(what string, more ...string) {
		t.Helper()
		post(h, webhookOf(twilio.KindTaskRouter, append([]string{
			"EventType", what, "Sid", "EV-" + what, "TimestampMs", "1772442003100", "TaskSid", "WT00000000000000000000000000000001",
			"TaskChannelUniqueName", "chat", "TaskQueueSid", "WQ00000000000000000000000000000001",
			"TaskAttributes", `{"from":"visitor-17","conversations":"odd","conference":[],"direction":7}`,
		}, more...)...), sign)
	}
	task("task.created")
	task("task-queue.entered")
	task("task-queue.moved")
	task("task.canceled", "TaskCanceledReason", "hangup")
	task("task.completed", "TaskCompletedReason", "done")
	var got []string
	for _, e := range host.Events() {
		got = append(got, e.Submission.GetType()+" "+e.Submission.GetThread()[:2]+" "+lower(e.Submission.GetChannel().String(), "CHANNEL_")+" "+lower(e.Content.GetQueueLeft().GetOutcome().String(), "QUEUE_OUTCOME_"))
	}
	want := []string{
		"interaction.started WT web_chat unspecified", "queue.entered WT web_chat unspecified", "queue.left WT web_chat overflowed",
		"queue.left WT web_chat abandoned", "interaction.ended WT web_chat unspecified", "interaction.ended WT web_chat unspecified",
	}
	if !slices.Equal(got, want) || len(host.Rejections()) != 0 {
		t.Errorf("got\n  %s\n%v", strings.Join(got, "\n  "), host.Rejections())
	}
}

func TestATransferIsToldToItsEnd(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host, nil)
	for _, p := range [][]string{
		{"EventType", "task.transfer-initiated", "TransferMode", "COLD", "TransferType", "QUEUE", "TransferTo", "WQ00000000000000000000000000000002"},
		{"EventType", "task.transfer-initiated", "TransferMode", "COLD", "TransferTo", "WK00000000000000000000000000000002", "WorkerSid", "WK00000000000000000000000000000001"},
		{"EventType", "task.transfer-attempt-failed"},
		{"EventType", "task.transfer-failed", "TransferMode", "COLD", "TransferFailedReason", "nobody is there"},
		{"EventType", "task.transfer-canceled", "TransferMode", "WARM"},
	} {
		post(h, webhookOf(twilio.KindTaskRouter, append(p, "Sid", "EV"+strings.Join(p, ""), "TaskSid", "WT00000000000000000000000000000001")...), sign)
	}
	want := `transfer.started  WT00000000000000000000000000000001  inbound/transfer by agent 
    {"transferStarted":{"kind":"TRANSFER_KIND_QUEUE","target":"WQ00000000000000000000000000000002"}}
transfer.started  WT00000000000000000000000000000001  inbound/transfer by agent WK00000000000000000000000000000001
    {"transferStarted":{"kind":"TRANSFER_KIND_BLIND","target":"WK00000000000000000000000000000002"}}
transfer.failed  WT00000000000000000000000000000001  inbound/transfer by agent 
    {"transferFailed":{"kind":"TRANSFER_KIND_BLIND","reason":"nobody is there"}}
transfer.failed  WT00000000000000000000000000000001  inbound/consult by agent 
    {"transferFailed":{"kind":"TRANSFER_KIND_CONSULT","reason":"canceled"}}
`
	var got strings.Builder
	for _, e := range host.Events() {
		e.Submission.NativeId = ""
		got.WriteString(strings.Replace(strings.TrimPrefix(channeltest.Transcript([]channeltest.Event{e}), "  "), "01   ", "01  ", 1))
	}
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

func TestAnAgentsPresenceFollowsTheActivity(t *testing.T) {
	for activity, want := range map[string]string{"Available": "routable", "idle": "routable", "Offline": "offline", "Lunch": "custom"} {
		host := channeltest.NewHost()
		post(open(t, host, nil), webhookOf(twilio.KindTaskRouter, "EventType", "worker.activity.update", "Sid", "EV1", "WorkerSid", "WK00000000000000000000000000000001", "WorkerActivityName", activity), sign)
		if len(host.Events()) != 1 {
			t.Fatal(host.Rejections())
		}
		e := host.Events()[0]
		if got := lower(e.Content.GetAgentPresenceChanged().GetType().String(), "PRESENCE_TYPE_"); got != want || e.Event.GetActor().GetId() != "WK00000000000000000000000000000001" {
			t.Errorf("%s: %s", activity, got)
		}
	}
}

// A number that cannot be one is shown, and does not cost the event.
func TestANumberThatIsNoneIsShown(t *testing.T) {
	host := channeltest.NewHost()
	post(open(t, host, nil), webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "From", "LUMEN 17", "To", "72000", "Body", "hi"), sign)
	if len(host.Events()) != 1 {
		t.Fatal(host.Rejections())
	}
	p := host.Events()[0].Submission.GetParties()
	if p[0].GetAddress() != nil || p[0].GetDisplayName() != "LUMEN 17" {
		t.Error(p)
	}
}

func TestAUserOfAMessengerHasAnAddressOfItsAccount(t *testing.T) {
	host := channeltest.NewHost()
	post(open(t, host, nil), webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "From", "messenger:17", "To", "messenger:4711", "Body", "hi"), sign)
	if len(host.Events()) != 1 {
		t.Fatal(host.Rejections())
	}
	if a := host.Events()[0].Submission.GetParties()[0].GetAddress(); a.GetNamespace() != "messenger/4711" || a.GetValue() != "17" {
		t.Error(a)
	}
}

// Who presses a button of a template answers with its text, and with what the company had put behind it.
func TestAButtonOfATemplateIsAnAnswer(t *testing.T) {
	host := channeltest.NewHost()
	post(open(t, host, nil), webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "From", "whatsapp:+4930901820", "To", "whatsapp:+4930200200",
		"Body", "Yes, please", "ButtonText", "Yes, please", "ButtonPayload", "confirm:4711", "OriginalRepliedMessageSid", "SM00000000000000000000000000000000"), sign)
	got := host.Events()[0].Content.GetMessageReceived()
	if got.GetText() != "Yes, please" || got.GetPayload() != "confirm:4711" || got.GetInReplyTo() != "SM00000000000000000000000000000000" {
		t.Error(got)
	}
}
