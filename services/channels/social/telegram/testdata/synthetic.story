Synthetic: composed from https://core.telegram.org/bots/api (version 10), by the fields of Update, Message and what these hold. No chat
of anybody's. Each delivery is a line "== name" and the update.

== Ada comes by a link of the lamp page
{"update_id": 700001, "message": {"message_id": 101, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442000, "text": "/start lamp17", "entities": [{"offset": 0, "length": 6, "type": "bot_command"}]}}

== she asks, with a link behind a word
{"update_id": 700002, "message": {"message_id": 102, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442020, "text": "Is the Aurora 🌅 lamp in stock? See here", "entities": [{"offset": 7, "length": 9, "type": "bold"}, {"offset": 36, "length": 4, "type": "text_link", "url": "https://lumen.example/aurora?a=1&b=2"}]}}

== she mends a word
{"update_id": 700003, "edited_message": {"message_id": 102, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442020, "edit_date": 1772442045, "text": "Is the Aurora lamp in stock, in black?"}}

== she sends a picture of the corner where it is to stand
{"update_id": 700004, "message": {"message_id": 103, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442060, "caption": "For this corner", "photo": [{"file_id": "AgAC-small", "file_unique_id": "s", "file_size": 1500, "width": 90, "height": 67}, {"file_id": "AgAC-large", "file_unique_id": "l", "file_size": 91000, "width": 1280, "height": 960}, {"file_id": "AgAC-middle", "file_unique_id": "m", "file_size": 20000, "width": 320, "height": 240}]}}

== she presses a button under the bot's answer
{"update_id": 700005, "callback_query": {"id": "4382bfdwdsb323b2d9", "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "message": {"message_id": 104, "from": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442080, "text": "It is. How shall it come to you?", "reply_markup": {"inline_keyboard": [[{"text": "Deliver it", "callback_data": "order:17:deliver"}, {"text": "I fetch it", "callback_data": "order:17:fetch"}], [{"text": "Our shop", "url": "https://lumen.example"}]]}}, "chat_instance": "-3847562", "data": "order:17:deliver"}}

== she presses one under a message that is too old
{"update_id": 700006, "callback_query": {"id": "4382bfdwdsb323b2da", "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "message": {"message_id": 104, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 0}, "chat_instance": "-3847562", "data": "order:17:fetch"}}

== she answers a message of the bot's, quoting it
{"update_id": 700007, "message": {"message_id": 105, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442100, "text": "To my address, please", "reply_to_message": {"message_id": 104, "from": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442080, "text": "It is. How shall it come to you?"}, "quote": {"text": "How shall it come", "position": 7, "is_manual": true}}}

== she shares her own number
{"update_id": 700008, "message": {"message_id": 106, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442110, "contact": {"phone_number": "4930901820", "first_name": "Ada", "last_name": "Wong", "user_id": 4201}}}

== she shares a friend's contact
{"update_id": 700009, "message": {"message_id": 107, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442112, "contact": {"phone_number": "+4930901821", "first_name": "Ben"}}}

== she shares a place
{"update_id": 700010, "message": {"message_id": 108, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442120, "location": {"latitude": 52.52, "longitude": 13.405}, "venue": {"location": {"latitude": 52.52, "longitude": 13.405}, "title": "Lumen", "address": "Spreeufer 1"}}}

== she says something
{"update_id": 700011, "message": {"message_id": 109, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442130, "voice": {"file_id": "AwAC-voice", "file_unique_id": "v", "duration": 7, "mime_type": "audio/ogg", "file_size": 12000}}}

== she sends a bill
{"update_id": 700012, "message": {"message_id": 110, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442140, "document": {"file_id": "BQAC-bill", "file_unique_id": "d", "file_name": "Rechnung 17.pdf", "mime_type": "application/pdf", "file_size": 70000}, "caption": "Die Rechnung"}}

== she sends an animation
{"update_id": 700013, "message": {"message_id": 111, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442150, "animation": {"file_id": "CgAC-anim", "file_unique_id": "a", "width": 1, "height": 1, "duration": 1, "mime_type": "video/mp4"}, "document": {"file_id": "CgAC-anim", "file_unique_id": "a", "mime_type": "video/mp4"}}}

== she sends a sticker
{"update_id": 700014, "message": {"message_id": 112, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442160, "sticker": {"file_id": "CAAC-sticker", "file_unique_id": "st", "type": "regular", "width": 512, "height": 512, "is_animated": true, "is_video": false, "emoji": "👍"}}}

== she throws dice
{"update_id": 700015, "message": {"message_id": 113, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442170, "dice": {"emoji": "🎲", "value": 4}}}

== she fills in the form of the web app
{"update_id": 700016, "message": {"message_id": 114, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442180, "web_app_data": {"button_text": "Return a lamp", "data": "{\"order\":\"17\",\"reason\":\"too bright\",\"pieces\":2}"}}}

== she pays
{"update_id": 700017, "message": {"message_id": 115, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442190, "successful_payment": {"currency": "EUR", "total_amount": 8900, "invoice_payload": "order17", "telegram_payment_charge_id": "t1", "provider_payment_charge_id": "p1"}}}

== she votes in a poll of the bot's
{"update_id": 700018, "poll_answer": {"poll_id": "5312", "user": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "option_ids": [1], "option_persistent_ids": ["b"]}}

== she forwards a post
{"update_id": 700019, "message": {"message_id": 116, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772442200, "text": "Lumen wins a prize", "forward_origin": {"type": "channel", "date": 1772352000, "chat": {"id": -1001900, "title": "Lumen", "type": "channel"}, "message_id": 31}}}

== she blocks the bot
{"update_id": 700020, "my_chat_member": {"chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "date": 1772442300, "old_chat_member": {"user": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "status": "member"}, "new_chat_member": {"user": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "status": "kicked", "until_date": 0}}}

== and lets it in again
{"update_id": 700021, "my_chat_member": {"chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "date": 1772442400, "old_chat_member": {"user": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "status": "kicked", "until_date": 0}, "new_chat_member": {"user": {"id": 110201543, "is_bot": true, "first_name": "Lumen", "username": "lumen_bot"}, "status": "member"}}}

== she types in inline mode
{"update_id": 700022, "inline_query": {"id": "771", "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "query": "lamp", "offset": "", "chat_type": "sender"}}

== Ben and a bot join the group
{"update_id": 700023, "message": {"message_id": 5001, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443000, "new_chat_members": [{"id": 4302, "is_bot": false, "first_name": "Ben"}, {"id": 9, "is_bot": true, "first_name": "Other"}, {"id": 4303, "is_bot": false, "first_name": "Cy"}]}}

== Ben asks in a topic
{"update_id": 700024, "message": {"message_id": 5002, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443010, "message_thread_id": 12, "is_topic_message": true, "reply_to_message": {"message_id": 12, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772442000, "forum_topic_created": {"name": "Lamps", "icon_color": 1}}, "text": "@lumen_bot which bulb?", "entities": [{"offset": 0, "length": 10, "type": "mention"}]}}

== an administrator answers without a name
{"update_id": 700025, "message": {"message_id": 5003, "from": {"id": 1087968824, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443020, "sender_chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "author_signature": "Support", "message_thread_id": 12, "is_topic_message": true, "reply_to_message": {"message_id": 5002, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443010}, "text": "E27"}}

== Ben likes that
{"update_id": 700026, "message_reaction": {"chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "message_id": 5003, "user": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "date": 1772443030, "old_reaction": [], "new_reaction": [{"type": "emoji", "emoji": "👍"}]}}

== Ben takes it back
{"update_id": 700027, "message_reaction": {"chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "message_id": 5003, "user": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "date": 1772443040, "old_reaction": [{"type": "emoji", "emoji": "👍"}], "new_reaction": []}}

== others like it without their names
{"update_id": 700028, "message_reaction_count": {"chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "message_id": 5003, "date": 1772443100, "reactions": [{"type": {"type": "emoji", "emoji": "👍"}, "total_count": 3}]}}

== it is pinned
{"update_id": 700029, "message": {"message_id": 5004, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443110, "pinned_message": {"message_id": 5002, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443010, "text": "?"}}}

== Ben leaves
{"update_id": 700030, "message": {"message_id": 5005, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772443120, "left_chat_member": {"id": 4302, "is_bot": false, "first_name": "Ben"}}}

== a member's rights change
{"update_id": 700031, "chat_member": {"chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "date": 1772443130, "old_chat_member": {"user": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "status": "member"}, "new_chat_member": {"user": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "status": "administrator"}}}

== a group becomes a supergroup
{"update_id": 700032, "message": {"message_id": 5006, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -2201, "title": "Lumen fans", "type": "group"}, "date": 1772443200, "migrate_to_chat_id": -1002201}}

== which the supergroup tells, too
{"update_id": 700033, "message": {"message_id": 5007, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1002201, "title": "Lumen fans", "type": "supergroup"}, "date": 1772443200, "migrate_from_chat_id": -2201}}

== the company posts in its channel
{"update_id": 700034, "channel_post": {"message_id": 31, "sender_chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "date": 1772444000, "author_signature": "Dora", "text": "Lumen wins a prize"}}

== and mends it
{"update_id": 700035, "edited_channel_post": {"message_id": 31, "sender_chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "date": 1772444000, "edit_date": 1772444050, "author_signature": "Dora", "text": "Lumen wins the prize"}}

== the post comes to the group where it is discussed
{"update_id": 700036, "message": {"message_id": 6001, "from": {"id": 777000, "is_bot": false, "first_name": "Telegram"}, "sender_chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772444003, "is_automatic_forward": true, "forward_origin": {"type": "channel", "chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "message_id": 31, "date": 1772444000}, "text": "Lumen wins a prize"}}

== Ada comments on it
{"update_id": 700037, "message": {"message_id": 6002, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772444100, "message_thread_id": 6001, "reply_to_message": {"message_id": 6001, "chat": {"id": -1002200, "title": "Lumen users", "type": "supergroup", "is_forum": true}, "date": 1772444003, "sender_chat": {"id": -1001900, "title": "Lumen", "username": "lumen", "type": "channel"}, "text": "Lumen wins a prize"}, "text": "Congratulations!"}}

== Ada writes to the channel
{"update_id": 700038, "message": {"message_id": 7001, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": -1003300, "title": "Lumen", "type": "supergroup", "is_direct_messages": true}, "date": 1772444200, "direct_messages_topic": {"topic_id": 4201, "user": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}}, "text": "May I share this?"}}

== Dora connects the bot to her business account
{"update_id": 700039, "business_connection": {"id": "BQADAgAD", "user": {"id": 8800, "is_bot": false, "first_name": "Dora", "last_name": "Lumen"}, "user_chat_id": 8800, "date": 1772445000, "rights": {"can_reply": true}, "is_enabled": true}}

== Cy writes to Dora
{"update_id": 700040, "business_message": {"business_connection_id": "BQADAgAD", "message_id": 41, "from": {"id": 4303, "is_bot": false, "first_name": "Cy", "language_code": "en-gb"}, "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "date": 1772445010, "text": "Is the shop open today?"}}

== Telegram answers for her
{"update_id": 700041, "business_message": {"business_connection_id": "BQADAgAD", "message_id": 42, "from": {"id": 8800, "is_bot": false, "first_name": "Dora", "last_name": "Lumen"}, "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "date": 1772445011, "is_from_offline": true, "text": "I am away until ten."}}

== Dora answers from her phone
{"update_id": 700042, "business_message": {"business_connection_id": "BQADAgAD", "message_id": 43, "from": {"id": 8800, "is_bot": false, "first_name": "Dora", "last_name": "Lumen"}, "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "date": 1772445600, "text": "Until eight.", "reply_to_message": {"message_id": 41, "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "date": 1772445010, "from": {"id": 4303, "is_bot": false, "first_name": "Cy", "language_code": "en-gb"}, "text": "Is the shop open today?"}}}

== and mends it
{"update_id": 700043, "edited_business_message": {"business_connection_id": "BQADAgAD", "message_id": 43, "from": {"id": 8800, "is_bot": false, "first_name": "Dora", "last_name": "Lumen"}, "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "date": 1772445600, "edit_date": 1772445630, "text": "Until nine."}}

== Cy deletes two messages
{"update_id": 700044, "deleted_business_messages": {"business_connection_id": "BQADAgAD", "chat": {"id": 4303, "first_name": "Cy", "type": "private"}, "message_ids": [42, 41]}}

== the bot is called by name where it is not a member
{"update_id": 700045, "guest_message": {"message_id": 3, "from": {"id": 4302, "is_bot": false, "first_name": "Ben"}, "chat": {"id": -1009, "title": "Elsewhere", "type": "supergroup"}, "date": 1772446000, "guest_query_id": "gq1", "text": "@lumen_bot opening hours?"}}

== something that was not known when this was written
{"update_id": 700046, "warp_drive": {"from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "date": 1772446100, "speed": 9}}

== a message of a kind that was not known
{"update_id": 700047, "message": {"message_id": 190, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772446200, "hologram": {"file_id": "x"}}}

== a rich message
{"update_id": 700048, "message": {"message_id": 191, "from": {"id": 4201, "is_bot": false, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "language_code": "de"}, "chat": {"id": 4201, "first_name": "Ada", "last_name": "Wong", "username": "adaw", "type": "private"}, "date": 1772446300, "rich_message": {"blocks": [{"type": "heading", "text": "Order", "size": 2}, {"type": "paragraph", "text": ["Two ", {"type": "bold", "text": "black"}, " lamps"]}]}}}
