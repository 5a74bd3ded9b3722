package view

import (
	"context"
	"hash/fnv"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

func (u User) title() string {
	if u.Agent != "" {
		return u.Agent
	}
	return u.Name
}

// ChannelName is a channel in words.
func ChannelName(ctx context.Context, c eventv1.Channel) string {
	switch c {
	case eventv1.Channel_CHANNEL_VOICE:
		return lang.T(ctx, "Telephone")
	case eventv1.Channel_CHANNEL_WEB_CHAT:
		return lang.T(ctx, "Web chat")
	case eventv1.Channel_CHANNEL_EMAIL:
		return lang.T(ctx, "Mail")
	case eventv1.Channel_CHANNEL_SMS:
		return lang.T(ctx, "SMS")
	case eventv1.Channel_CHANNEL_SOCIAL_MESSAGE:
		return lang.T(ctx, "Messenger")
	case eventv1.Channel_CHANNEL_SOCIAL_POST:
		return lang.T(ctx, "Post")
	case eventv1.Channel_CHANNEL_IN_APP:
		return lang.T(ctx, "App")
	case eventv1.Channel_CHANNEL_VIDEO:
		return lang.T(ctx, "Video")
	case eventv1.Channel_CHANNEL_TASK:
		return lang.T(ctx, "Task")
	case eventv1.Channel_CHANNEL_UNSPECIFIED:
	}
	return lang.T(ctx, "Other")
}

// ChannelKey is the name of a channel in addresses, and in the API's maps and dimensions, such as web_chat.
func ChannelKey(c eventv1.Channel) string {
	return strings.ToLower(strings.TrimPrefix(c.String(), "CHANNEL_"))
}

// ChannelOf is the channel of such a name.
func ChannelOf(key string) eventv1.Channel {
	return eventv1.Channel(eventv1.Channel_value["CHANNEL_"+strings.ToUpper(key)])
}

// channelMark is the name of a channel's icon and colour.
func channelMark(c eventv1.Channel) string {
	switch c {
	case eventv1.Channel_CHANNEL_VOICE:
		return "voice"
	case eventv1.Channel_CHANNEL_WEB_CHAT:
		return "chat"
	case eventv1.Channel_CHANNEL_EMAIL:
		return "mail"
	case eventv1.Channel_CHANNEL_SMS:
		return "sms"
	case eventv1.Channel_CHANNEL_SOCIAL_MESSAGE:
		return "social"
	case eventv1.Channel_CHANNEL_SOCIAL_POST:
		return "post"
	case eventv1.Channel_CHANNEL_IN_APP:
		return "app"
	case eventv1.Channel_CHANNEL_VIDEO:
		return "video"
	case eventv1.Channel_CHANNEL_TASK, eventv1.Channel_CHANNEL_UNSPECIFIED:
	}
	return "task"
}

// KindName is a kind of endpoint in words.
func KindName(ctx context.Context, k eventv1.EndpointKind) string {
	switch k {
	case eventv1.EndpointKind_ENDPOINT_KIND_PHONE:
		return lang.T(ctx, "Telephone")
	case eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:
		return lang.T(ctx, "Mail")
	case eventv1.EndpointKind_ENDPOINT_KIND_VISITOR:
		return lang.T(ctx, "Visitor")
	case eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL:
		return lang.T(ctx, "Messenger")
	case eventv1.EndpointKind_ENDPOINT_KIND_SIP:
		return "SIP"
	case eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER:
		return lang.T(ctx, "Identifier")
	case eventv1.EndpointKind_ENDPOINT_KIND_UNSPECIFIED:
	}
	return lang.T(ctx, "Other")
}

func kindMark(k eventv1.EndpointKind) string {
	switch k {
	case eventv1.EndpointKind_ENDPOINT_KIND_PHONE, eventv1.EndpointKind_ENDPOINT_KIND_SIP:
		return "voice"
	case eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:
		return "mail"
	case eventv1.EndpointKind_ENDPOINT_KIND_VISITOR:
		return "chat"
	case eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL:
		return "social"
	case eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, eventv1.EndpointKind_ENDPOINT_KIND_UNSPECIFIED:
	}
	return "id"
}

// initials are what an avatar shows of a name: the first letters of its first and last word; of a Chinese name its last two signs.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return "·"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	if unicode.Is(unicode.Han, first) {
		signs := []rune(words[0])
		return string(signs[max(0, len(signs)-2):])
	}
	if len(words) == 1 {
		return string(unicode.ToUpper(first))
	}
	last, _ := utf8.DecodeRuneInString(words[len(words)-1])
	return string(unicode.ToUpper(first)) + string(unicode.ToUpper(last))
}

// hues are how many colours avatars have.
const hues = 8

func hue(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return "hue-" + strconv.Itoa(int(h.Sum32()%hues))
}
