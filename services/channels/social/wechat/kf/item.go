package kf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// item is one of sync_msg's msg_list (https://developer.work.weixin.qq.com/document/path/94670). Each has the field that its msgtype
// names. Of an event, customer and account stand in it.
type item struct {
	MsgID          string `json:"msgid"`
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	SendTime       int64  `json:"send_time"` // seconds
	Origin         int    `json:"origin"`
	ServicerUserID string `json:"servicer_userid"`
	MsgType        string `json:"msgtype"`

	Text         *textItem       `json:"text"`
	Image        *mediaItem      `json:"image"`
	Voice        *mediaItem      `json:"voice"`
	Video        *mediaItem      `json:"video"`
	File         *mediaItem      `json:"file"`
	Location     *locationItem   `json:"location"`
	Link         *linkItem       `json:"link"`
	BusinessCard *cardItem       `json:"business_card"`
	MiniProgram  *miniItem       `json:"miniprogram"`
	Menu         *menuItem       `json:"msgmenu"`
	Product      *productItem    `json:"channels_shop_product"`
	Order        *orderItem      `json:"channels_shop_order"`
	Merged       *mergedItem     `json:"merged_msg"`
	Channels     *channelsItem   `json:"channels"`
	Meeting      json.RawMessage `json:"meeting"`
	Schedule     json.RawMessage `json:"schedule"`
	Note         json.RawMessage `json:"note"`
	Event        *eventItem      `json:"event"`
}

type textItem struct {
	Content string `json:"content"`
	MenuID  string `json:"menu_id"`
}

type mediaItem struct {
	MediaID  string `json:"media_id"`
	Filename string `json:"filename"`
}

type locationItem struct {
	Latitude  number `json:"latitude"`
	Longitude number `json:"longitude"`
	Name      string `json:"name"`
	Address   string `json:"address"`
}

type linkItem struct {
	Title string `json:"title"`
	Desc  string `json:"desc"`
	URL   string `json:"url"`
}

type cardItem struct {
	UserID string `json:"userid"`
}

type miniItem struct {
	Title        string `json:"title"`
	AppID        string `json:"appid"`
	PagePath     string `json:"pagepath"`
	ThumbMediaID string `json:"thumb_media_id"`
}

type menuItem struct {
	HeadContent string `json:"head_content"`
	TailContent string `json:"tail_content"`
	List        []struct {
		Click struct {
			Content string `json:"content"`
		} `json:"click"`
		View struct {
			Content string `json:"content"`
			URL     string `json:"url"`
		} `json:"view"`
		MiniProgram struct {
			Content string `json:"content"`
		} `json:"miniprogram"`
		Text struct {
			Content string `json:"content"`
		} `json:"text"`
	} `json:"list"`
}

type productItem struct {
	ProductID    string `json:"product_id"`
	Title        string `json:"title"`
	SalesPrice   number `json:"sales_price"` // in fen
	ShopNickname string `json:"shop_nickname"`
}

type orderItem struct {
	OrderID       string `json:"order_id"`
	ProductTitles string `json:"product_titles"`
	PriceWording  string `json:"price_wording"`
	State         string `json:"state"`
	ShopNickname  string `json:"shop_nickname"`
}

type mergedItem struct {
	Title string `json:"title"`
	Item  []struct {
		SenderName string          `json:"sender_name"`
		MsgType    json.RawMessage `json:"msgtype"` // a name or a number
		MsgContent string          `json:"msg_content"`
	} `json:"item"`
}

type channelsItem struct {
	Nickname string `json:"nickname"`
	Title    string `json:"title"`
}

type eventItem struct {
	EventType      string `json:"event_type"`
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	ServicerUserID string `json:"servicer_userid"`
	// enter_session
	Scene          string `json:"scene"`
	SceneParam     string `json:"scene_param"`
	WelcomeCode    string `json:"welcome_code"`
	WechatChannels struct {
		Nickname     string `json:"nickname"`
		ShopNickname string `json:"shop_nickname"`
		Scene        number `json:"scene"`
	} `json:"wechat_channels"`
	// msg_send_fail
	FailMsgID string `json:"fail_msgid"`
	FailType  int    `json:"fail_type"`
	// servicer_status_change
	Status   int `json:"status"`
	StopType int `json:"stop_type"`
	// session_status_change
	ChangeType        int    `json:"change_type"`
	OldServicerUserID string `json:"old_servicer_userid"`
	NewServicerUserID string `json:"new_servicer_userid"`
	MsgCode           string `json:"msg_code"`
	// user_recall_msg, servicer_recall_msg
	RecallMsgID string `json:"recall_msgid"`
}

// number is a JSON number, or one that stands in a string: the document and what is seen differ in this.
type number string

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	switch {
	case text == "null":
		return nil
	case strings.HasPrefix(text, `"`):
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	if text = strings.TrimSpace(text); text == "" {
		*n = ""
		return nil
	}
	if err := json.Unmarshal([]byte(text), new(json.Number)); err != nil {
		return errors.New("there is something else where a number was expected")
	}
	*n = number(text)
	return nil
}

func (n number) float() (float64, error) { return json.Number(n).Float64() }

// reading is what one item is read with.
type reading struct {
	*account
	item
	raw []byte
	all []*eventv1.Submission
}

// readItem makes submissions of an item.
func (a *account) readItem(raw []byte) ([]*eventv1.Submission, error) {
	r := &reading{account: a, raw: bytes.TrimSpace(raw)}
	if len(r.raw) == 0 || r.raw[0] != '{' {
		return nil, errors.New("social/wechat/kf: it is no JSON object")
	}
	if err := json.Unmarshal(r.raw, &r.item); err != nil {
		return nil, fmt.Errorf("social/wechat/kf: %w", err)
	}
	if r.Event == nil {
		r.Event = &eventItem{}
	}
	var err error
	switch of := cmp.Or(r.OpenKfID, r.Event.OpenKfID); {
	case r.MsgID == "":
		err = errors.New("it has no msgid")
	case of != "" && of != a.OpenKfID:
		err = fmt.Errorf("it is of the account %q, not of this inbox's", of)
	case r.MsgType == "event":
		err = r.event()
	default:
		err = r.message()
	}
	if err != nil {
		return nil, fmt.Errorf("social/wechat/kf: the item %q of type %q: %w", r.MsgID, r.MsgType, err)
	}
	return r.all, nil
}

// customer is who the item is about; empty where it is about nobody.
func (r *reading) customer() string { return cmp.Or(r.ExternalUserID, r.Event.ExternalUserID) }

// add makes an event of the customer's thread.
func (r *reading) add(typ string, content *eventv1.Content) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: Provider, Inbox: r.Inbox, Thread: r.customer(), NativeId: r.MsgID, OccurredAt: seconds(r.SendTime),
		Parties: r.parties(eventv1.Direction_DIRECTION_INBOUND), Content: content,
	}
	r.all = append(r.all, s)
	return s
}

// extension makes an event of what no type of the registry fits. It carries the whole item.
func (r *reading) extension(name string) *eventv1.Submission {
	s := r.add(event.ForeignType(Provider, name), &eventv1.Content{Body: &eventv1.Content_Extension{
		Extension: &eventv1.Extension{MediaType: "application/json", Data: r.raw},
	}})
	if s.GetThread() == "" {
		s.Thread = "account/" + r.OpenKfID
		if r.OpenKfID == "" {
			s.Thread = "account/" + r.account.OpenKfID
		}
		s.Direction = eventv1.Direction_DIRECTION_UNSPECIFIED
	}
	return s
}

// parties are the customer, under the id of the account and under the company's, and the account. Who reaches out comes first.
func (r *reading) parties(direction eventv1.Direction) []*eventv1.SubmittedParty {
	customer := r.customer()
	if customer == "" {
		return nil
	}
	theirs, ours := eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.PartyRole_PARTY_ROLE_TO
	if direction == eventv1.Direction_DIRECTION_OUTBOUND {
		theirs, ours = ours, theirs
	}
	all := []*eventv1.SubmittedParty{
		{Address: r.address(customer), Role: theirs, Side: eventv1.Side_SIDE_CUSTOMER},
		{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "wecom/" + r.CorpID, Value: customer}, Role: theirs, Side: eventv1.Side_SIDE_CUSTOMER},
		{Address: r.address(r.account.OpenKfID), Role: ours, Side: eventv1.Side_SIDE_COMPANY},
	}
	if direction == eventv1.Direction_DIRECTION_OUTBOUND {
		all[0], all[1], all[2] = all[2], all[0], all[1]
	}
	return all
}

func (a *account) address(id string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + a.OpenKfID, Value: id}
}

// agent is a servicer as an actor, by the name that the configuration gives, or without one where the id is not fit for an agent's.
func (a *account) agent(servicer string) *eventv1.SubmittedActor {
	id := cmp.Or(a.Agents[servicer], servicer)
	if len(id) > 128 || strings.Trim(id, actorLetters) != "" {
		id = ""
	}
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: id}
}

const actorLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"

func actor(kind eventv1.ActorKind) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind}
}

// seconds is a time; nil where it is none.
func seconds(unix int64) *timestamppb.Timestamp {
	if at := timestamppb.New(time.Unix(unix, 0)); unix > 0 && at.IsValid() {
		return at
	}
	return nil
}
