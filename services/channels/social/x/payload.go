package x

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
)

// text is a string that X also writes as a number; of one, its digits.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		return nil
	case data[0] == '"':
		return json.Unmarshal(data, (*string)(t))
	case data[0] == '{', data[0] == '[':
		return fmt.Errorf("a text or a number is expected, not %.20s", data)
	}
	*t = text(data)
	return nil
}

// delivery is a body: what happened, in lists by kind, around one account.
type delivery struct {
	user    string
	users   map[string]user
	context map[string]json.RawMessage // what belongs to every item
	lists   []list
	quiet   bool // it tells something that is of no interest
}

// list is what happened of one kind.
type list struct {
	name  string
	items []json.RawMessage
}

// userEvent is the list that is none, and does not name the account beside it.
const userEvent = "user_event"

func parse(body []byte) (*delivery, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	d := &delivery{context: map[string]json.RawMessage{}}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		switch name {
		case "for_user_id":
			var id text
			if err := json.Unmarshal(raw, &id); err != nil {
				return nil, fmt.Errorf("for_user_id: %w", err)
			}
			d.user, d.context[name] = string(id), raw
		case "users":
			// Names only: without them, an event is as good.
			_ = json.Unmarshal(raw, &d.users)
			d.context[name] = raw
		case "apps", "user_has_blocked", "is_blocked_by":
			d.context[name] = raw
		case "replay_job_status", "replay_event":
			d.quiet = true
		default:
			if l, ok := listOf(name, raw); ok {
				d.lists = append(d.lists, l)
			}
		}
	}
	if d.count() == 0 && !d.quiet {
		return nil, errors.New("it tells of no event")
	}
	if d.user == "" {
		d.user = d.revoked()
	}
	return d, nil
}

// listOf takes a field for a list of events if it is one, or for the only one of them if it is an object.
func listOf(name string, raw json.RawMessage) (list, bool) {
	l := list{name: name}
	switch {
	case len(raw) > 0 && raw[0] == '{':
		l.items = []json.RawMessage{raw}
	case json.Unmarshal(raw, &l.items) != nil:
		return list{}, false
	}
	return l, len(l.items) > 0
}

func (d *delivery) count() int {
	n := 0
	for _, l := range d.lists {
		n += len(l.items)
	}
	return n
}

// done tells that nothing is to be done.
func (d *delivery) done() bool { return d.quiet && d.count() == 0 }

// revoked is the account that has taken back its authorisation, as user_event has it.
func (d *delivery) revoked() string {
	for _, l := range d.lists {
		var e revocation
		if l.name == userEvent && json.Unmarshal(l.items[0], &e) == nil {
			return string(e.Revoke.Source.UserID)
		}
	}
	return ""
}

// alone is a body that tells of one item only.
func (d *delivery) alone(name string, item json.RawMessage) []byte {
	fields := maps.Clone(d.context)
	fields[name] = item
	if name != userEvent {
		fields[name] = slices.Concat([]byte("["), item, []byte("]"))
	}
	raw, err := json.Marshal(fields)
	if err != nil { // cannot be: all of it was decoded
		return item
	}
	return raw
}

// user is one of X's users. In posts its id is a number, with the exact one beside it; elsewhere a string.
type user struct {
	ID         text `json:"id"`
	IDStr      text `json:"id_str"`
	Name       text `json:"name"`
	ScreenName text `json:"screen_name"`
}

func (u user) id() string { return string(cmp.Or(u.IDStr, u.ID)) }

// display is the name of a user, with the one to speak to.
func (u user) display() string {
	name := strings.TrimSpace(string(u.Name))
	switch {
	case u.ScreenName == "":
		return event.Clip(name, maxName)
	case name == "":
		return event.Clip("@"+string(u.ScreenName), maxName)
	}
	return event.Clip(name, maxName-maxHandle) + " (@" + event.Clip(string(u.ScreenName), maxHandle-4) + ")"
}

// post is what happened to posts: the object of API 1.1, which the Account Activity API delivers.
type post struct {
	ID                   text  `json:"id"`
	IDStr                text  `json:"id_str"`
	CreatedAt            text  `json:"created_at"`
	Text                 text  `json:"text"`
	FullText             text  `json:"full_text"`
	Truncated            bool  `json:"truncated"`
	DisplayTextRange     []int `json:"display_text_range"`
	ConversationID       text  `json:"conversation_id"`
	ConversationIDStr    text  `json:"conversation_id_str"`
	InReplyToStatusIDStr text  `json:"in_reply_to_status_id_str"`
	InReplyToUserIDStr   text  `json:"in_reply_to_user_id_str"`
	Lang                 text  `json:"lang"`
	User                 user  `json:"user"`
	Coordinates          *geo  `json:"coordinates"`
	Place                *struct {
		FullName text `json:"full_name"`
	} `json:"place"`
	Entities         entities `json:"entities"`
	ExtendedEntities entities `json:"extended_entities"`
	ExtendedTweet    *struct {
		FullText         text     `json:"full_text"`
		DisplayTextRange []int    `json:"display_text_range"`
		Entities         entities `json:"entities"`
		ExtendedEntities entities `json:"extended_entities"`
	} `json:"extended_tweet"`
	RetweetedStatus *post `json:"retweeted_status"`
	QuotedStatus    *post `json:"quoted_status"`
	EditHistory     struct {
		InitialTweetID text   `json:"initial_tweet_id"`
		EditTweetIDs   []text `json:"edit_tweet_ids"`
	} `json:"edit_history"`
}

func (p *post) id() string { return string(cmp.Or(p.IDStr, p.ID)) }

// first is the id of a post's first version.
func (p *post) first() string {
	if id := string(p.EditHistory.InitialTweetID); isNumber(id) {
		return id
	}
	if ids := p.EditHistory.EditTweetIDs; len(ids) > 0 && isNumber(string(ids[0])) {
		return string(ids[0])
	}
	return p.id()
}

// geo is a point of GeoJSON: east before north.
type geo struct {
	Coordinates []float64 `json:"coordinates"`
}

type entities struct {
	URLs []struct {
		URL         text `json:"url"`
		ExpandedURL text `json:"expanded_url"`
	} `json:"urls"`
	Media        []media `json:"media"`
	UserMentions []struct {
		IDStr text `json:"id_str"`
	} `json:"user_mentions"`
}

// media is a picture, a video or an animation.
type media struct {
	URL           text `json:"url"`
	MediaURLHTTPS text `json:"media_url_https"`
	Type          text `json:"type"`
	VideoInfo     struct {
		Variants []struct {
			Bitrate     int64 `json:"bitrate"`
			ContentType text  `json:"content_type"`
			URL         text  `json:"url"`
		} `json:"variants"`
	} `json:"video_info"`
}

// deletion is an item of tweet_delete_events.
type deletion struct {
	Status struct {
		ID     text `json:"id"`
		UserID text `json:"user_id"`
	} `json:"status"`
	TimestampMS text `json:"timestamp_ms"`
}

// favorite is an item of favorite_events.
type favorite struct {
	ID              text `json:"id"`
	TimestampMS     text `json:"timestamp_ms"`
	FavoritedStatus post `json:"favorited_status"`
	User            user `json:"user"`
}

// relation is an item of follow_events, block_events or mute_events.
type relation struct {
	Type             text `json:"type"`
	CreatedTimestamp text `json:"created_timestamp"`
	Source           user `json:"source"`
	Target           user `json:"target"`
}

// revocation is what user_event holds.
type revocation struct {
	Revoke struct {
		DateTime text `json:"date_time"`
		Source   struct {
			UserID text `json:"user_id"`
		} `json:"source"`
	} `json:"revoke"`
}

// direct is an item of direct_message_events.
type direct struct {
	Type             text `json:"type"`
	ID               text `json:"id"`
	CreatedTimestamp text `json:"created_timestamp"`
	InitiatedVia     struct {
		TweetID text `json:"tweet_id"`
	} `json:"initiated_via"`
	MessageCreate *struct {
		Target struct {
			RecipientID text `json:"recipient_id"`
		} `json:"target"`
		SenderID    text `json:"sender_id"`
		SourceAppID text `json:"source_app_id"`
		MessageData struct {
			Text               text     `json:"text"`
			Entities           entities `json:"entities"`
			QuickReplyResponse struct {
				Metadata text `json:"metadata"`
			} `json:"quick_reply_response"`
			Attachment *struct {
				Type     text  `json:"type"`
				Media    media `json:"media"`
				Location struct {
					SharedCoordinate struct {
						Coordinates geo `json:"coordinates"`
					} `json:"shared_coordinate"`
					SharedPlace struct {
						Place struct {
							FullName text `json:"full_name"`
							Name     text `json:"name"`
						} `json:"place"`
					} `json:"shared_place"`
				} `json:"location"`
			} `json:"attachment"`
			CTAs []struct {
				Label text `json:"label"`
				URL   text `json:"url"`
			} `json:"ctas"`
		} `json:"message_data"`
	} `json:"message_create"`
}

// receipt is an item of direct_message_mark_read_events.
type receipt struct {
	CreatedTimestamp text `json:"created_timestamp"`
	SenderID         text `json:"sender_id"`
	Target           struct {
		RecipientID text `json:"recipient_id"`
	} `json:"target"`
	LastReadEventID text `json:"last_read_event_id"`
}
