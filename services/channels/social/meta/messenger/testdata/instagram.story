# Synthetic: composed from Meta's pages, which each delivery names, with ids of nobody.
# The account is lumen.lamps, 17841400000000001; Mia is 6200000000000001, Tom 6200000000000002. Message ids are shorter than Meta's.

== Mia writes (instagram-platform/webhooks/examples)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442000200,"messaging":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442000100,"message":{"mid":"aWd_1","text":"Do you ship to Graz?"}}]}]}

== the answer comes back as an echo, from whatever it was sent with (instagram-platform/webhooks/examples)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442002200,"messaging":[{"sender":{"id":"17841400000000001"},"recipient":{"id":"6200000000000001"},"timestamp":1772442002100,"message":{"mid":"aWd_2","text":"We do.","is_echo":true}},{"sender":{"id":"17841400000000001"},"recipient":{"id":"6200000000000001"},"timestamp":1772442002500,"message":{"mid":"aWd_3","is_echo":true,"attachments":[{"type":"image","payload":{"url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1&signature=a"}}]}}]}]}

== Mia has seen it (instagram-messaging/webhooks, messaging_seen)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442003200,"messaging":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442003100,"read":{"mid":"aWd_3"}}]}]}

== in the form in which changes come (graph-api/webhooks/reference/instagram, message_reactions)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442004,"changes":[{"field":"message_reactions","value":{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":"1772442004","reaction":{"mid":"aWd_2","action":"react","reaction":"love","emoji":"❤️"}}},{"field":"message_reactions","value":{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":"1772442005","reaction":{"mid":"aWd_2","action":"unreact"}}}]}]}

== an answer to a story, a mention in one, a reel and a post (instagram-messaging/webhooks)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442009200,"messaging":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442006000,"message":{"mid":"aWd_4","text":"Nice!","reply_to":{"story":{"url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=2&signature=b","id":"179001"}}}},{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442007000,"message":{"mid":"aWd_5","attachments":[{"type":"story_mention","payload":{"url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=3&signature=c"}}]}},{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442008000,"message":{"mid":"aWd_6","attachments":[{"type":"ig_reel","payload":{"reel_video_id":"18000001","title":"How to hang it","url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=4&signature=d"}}]}},{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442009000,"message":{"mid":"aWd_7","text":"this one","reply_to":{"mid":"aWd_2"},"attachments":[{"type":"share","payload":{"url":"https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=5&signature=e"}}]}}]}]}

== what Instagram does not give out, what she takes back, and what she edits (instagram-messaging/webhooks)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442012200,"messaging":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442010000,"message":{"mid":"aWd_8","is_unsupported":true}},{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442011000,"message":{"mid":"aWd_6","is_deleted":true}},{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442012000,"message_edit":{"mid":"aWd_1","text":"Do you ship to Graz, Austria?","num_edit":1}}]}]}

== an icebreaker, a quick reply, and a link (instagram-platform/webhooks/examples)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442015200,"messaging":[{"sender":{"id":"6200000000000002"},"recipient":{"id":"17841400000000001"},"timestamp":1772442013000,"postback":{"mid":"aWd_9","title":"Opening hours?","payload":"HOURS"}},{"sender":{"id":"6200000000000002"},"recipient":{"id":"17841400000000001"},"timestamp":1772442014000,"message":{"mid":"aWd_10","text":"Vienna","quick_reply":{"payload":"SHOP_VIENNA"}}},{"sender":{"id":"6200000000000002"},"recipient":{"id":"17841400000000001"},"timestamp":1772442015000,"referral":{"ref":"poster","source":"IGME_URL","type":"OPEN_THREAD"}}]}]}

== the company writes to itself, to try it out (instagram-platform/self-messaging)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442016200,"messaging":[{"sender":{"id":"6299999999999999"},"recipient":{"id":"17841400000000001"},"timestamp":1772442016000,"message":{"mid":"aWd_11","text":"test","is_self":true,"is_echo":true}}]}]}

== Tom comments, in the form of Business Login (instagram-platform/webhooks/examples)
[{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442020,"field":"comments","value":{"id":"17900000000000001","from":{"id":"6200000000000002","username":"tom.b"},"text":"How much?","media":{"id":"18100000000000001","media_product_type":"FEED"}}}]}]

== Mia answers him, and the account answers both (graph-api/webhooks/reference/instagram, comments)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442022,"changes":[{"field":"comments","value":{"id":"17900000000000002","parent_id":"17900000000000001","from":{"id":"6200000000000001","username":"mia.s"},"text":"@tom.b 49","media":{"id":"18100000000000001","media_product_type":"FEED"}}},{"field":"comments","value":{"id":"17900000000000003","parent_id":"17900000000000001","from":{"id":"17841400000000001","username":"lumen.lamps"},"text":"That is right.","media":{"id":"18100000000000001","media_product_type":"FEED"}}}]}]}

== a comment on the live video, and mentions in a comment and in a caption (graph-api/webhooks/reference/instagram)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442025,"changes":[{"field":"live_comments","value":{"id":"17900000000000004","from":{"id":"6200000000000001","username":"mia.s"},"text":"Hello!","media":{"id":"18100000000000002","media_product_type":"LIVE"}}},{"field":"mentions","value":{"media_id":"18100000000000009","comment_id":"17900000000000009"}},{"field":"mentions","value":{"media_id":"18100000000000010"}}]}]}

== the numbers of a story (graph-api/webhooks/getting-started/webhooks-for-instagram)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442030,"changes":[{"field":"story_insights","value":{"media_id":"18023345989012587","exits":1,"replies":0,"reach":17,"taps_forward":12,"taps_back":0,"impressions":28}}]}]}

== another app asks for the word (graph-api/webhooks/reference/instagram, messaging_handover)
{"object":"instagram","entry":[{"id":"17841400000000001","time":1772442031200,"standby":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":1772442031000,"request_thread_control":{"requested_owner_app_id":"123456789","metadata":"sales"}}]}]}
