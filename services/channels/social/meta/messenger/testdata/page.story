# Synthetic: composed from Meta's pages, which each delivery names, with ids of nobody. Field names are also those of the open library restfb.
# The page is Lumen's, 1029384756; Mia is 6100000000000001, Tom 6100000000000002. Message ids are shorter than Meta's.

== Mia comes by a link (messenger-platform/reference/webhook-events/messaging_referrals)
{"object":"page","entry":[{"id":"1029384756","time":1772442000100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442000000,"referral":{"ref":"spring-lamps","source":"SHORTLINK","type":"OPEN_THREAD"}}]}]}

== Mia begins, and comes from an ad (messenger-platform/reference/webhook-events/messaging_postbacks)
{"object":"page","entry":[{"id":"1029384756","time":1772442001100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442001000,"postback":{"mid":"m_postback1","title":"Get Started","payload":"GET_STARTED","referral":{"ref":"","source":"ADS","type":"OPEN_THREAD","ad_id":"238500001","ads_context_data":{"ad_title":"Lamps","photo_url":"https://scontent.xx.fbcdn.net/ad.jpg","post_id":"1029384756_555"}}}}]}]}

== Mia writes (messenger-platform/reference/webhook-events/messages)
{"object":"page","entry":[{"id":"1029384756","time":1772442003200,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442003100,"message":{"mid":"m_1","text":"My lamp is broken 😟"}}]}]}

== two pictures, in the form in which changes come (messenger-platform/reference/webhook-events/messages)
{"object":"page","entry":[{"id":"1029384756","time":1772442004,"changes":[{"field":"messages","value":{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":"1772442004","message":{"mid":"m_2","attachments":[{"type":"image","payload":{"url":"https://scontent.xx.fbcdn.net/v/t1/lamp.jpg?_nc_cat=1&oh=a"}},{"type":"image","payload":{"url":"https://scontent.xx.fbcdn.net/v/t1/lamp2.jpg?_nc_cat=1&oh=b"}}]}}}]}]}

== a sticker, told twice (messenger-platform/webhooks/webhook-events/messages, sticker attachment type transition)
{"object":"page","entry":[{"id":"1029384756","time":1772442005100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442005000,"message":{"mid":"m_3","sticker_id":369239263222822,"attachments":[{"type":"sticker","payload":{"url":"https://scontent.xx.fbcdn.net/v/thumb.png","sticker_id":369239263222822}},{"type":"image","payload":{"url":"https://scontent.xx.fbcdn.net/v/thumb.png","sticker_id":369239263222822}}]}}]}]}

== where she lives, and a link (messenger-platform/reference/webhook-events/messages)
{"object":"page","entry":[{"id":"1029384756","time":1772442006100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442006000,"message":{"mid":"m_4","attachments":[{"type":"location","title":"Home","payload":{"coordinates":{"lat":52.52,"long":13.405}}}]}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442006500,"message":{"mid":"m_5","attachments":[{"type":"fallback","title":"Lamp L1","url":"https://lumen.example/l1","payload":null}]}}]}]}

== the bot of another app answers, and has the word (messenger-platform/reference/webhook-events/message-echoes)
{"object":"page","entry":[{"id":"1029384756","time":1772442007100,"standby":[{"sender":{"id":"1029384756"},"recipient":{"id":"6100000000000001"},"timestamp":1772442007000,"message":{"mid":"m_6","is_echo":true,"app_id":1517776481860111,"metadata":"bot-17","text":"Which lamp is it?","attachments":[{"type":"template","payload":{"template_type":"button","text":"Choose","buttons":[]}}]}}]}]}

== Mia chooses (messenger-platform/reference/webhook-events/messages)
{"object":"page","entry":[{"id":"1029384756","time":1772442008100,"standby":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442008000,"message":{"mid":"m_7","text":"L1","quick_reply":{"payload":"LAMP_L1"},"reply_to":{"mid":"m_6","is_self_reply":false}}}]}]}

== the bot hands over to the inbox (messenger-platform/reference/webhook-events/messaging_handovers)
{"object":"page","entry":[{"id":"1029384756","time":1772442009100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442009000,"pass_thread_control":{"previous_owner_app_id":"1517776481860111","new_owner_app_id":"99887766","metadata":"needs a person"}}]}]}

== the company's own answer, sent by Skein (messenger-platform/reference/webhook-events/message-echoes)
{"object":"page","entry":[{"id":"1029384756","time":1772442010100,"messaging":[{"sender":{"id":"1029384756"},"recipient":{"id":"6100000000000001"},"timestamp":1772442010000,"message":{"mid":"m_8","is_echo":true,"app_id":99887766,"metadata":"skein:0193d0a4-7e5c-7abc-8def-0123456789ab","text":"We send you a new one."}}]}]}

== it arrives and is read (messenger-platform/reference/webhook-events/message-deliveries, message-reads)
{"object":"page","entry":[{"id":"1029384756","time":1772442011100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442011000,"delivery":{"mids":["m_6","m_8"],"watermark":1772442010900}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442012000,"read":{"watermark":1772442011900}}]}]}

== Mia likes it, changes her mind, and what she wrote (messenger-platform/reference/webhook-events/message-reactions, message-edits)
{"object":"page","entry":[{"id":"1029384756","time":1772442015100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442013000,"reaction":{"reaction":"love","emoji":"❤️","action":"react","mid":"m_8"}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442014000,"reaction":{"action":"unreact","mid":"m_8"}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442015000,"message_edit":{"mid":"m_1","text":"My lamp L1 is broken","num_edit":1}}]}]}

== she takes a picture back (messenger-platform/reference/webhook-events/messages, is_deleted)
{"object":"page","entry":[{"id":"1029384756","time":1772442016100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442016000,"message":{"mid":"m_2","is_deleted":true}}]}]}

== she wants to hear of new lamps, and then not (messenger-platform/reference/webhook-events/messaging_optins)
{"object":"page","entry":[{"id":"1029384756","time":1772442018100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442017000,"optin":{"type":"notification_messages","payload":"NEWS","notification_messages_token":"token-1","notification_messages_timezone":"UTC","token_expiry_timestamp":"1790000000000","user_token_status":"REFRESHED","title":"News of lamps"}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442018000,"optin":{"type":"notification_messages","payload":"NEWS","notification_messages_token":"token-1","notification_messages_status":"STOP NOTIFICATIONS","title":"News of lamps"}}]}]}

== one notification only (messenger-platform/send-messages/one-time-notification)
{"object":"page","entry":[{"id":"1029384756","time":1772442019100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442019000,"optin":{"type":"one_time_notif_req","payload":"IN_STOCK_L1","one_time_notif_token":"token-2"}}]}]}

== somebody on the web page, of whom there is no id yet (messenger-platform/reference/webhook-events/messaging_optins)
{"object":"page","entry":[{"id":"1029384756","time":1772442020100,"messaging":[{"recipient":{"id":"1029384756"},"sender":{"user_ref":"cart-17"},"timestamp":1772442020000,"optin":{"ref":"CHECKOUT","user_ref":"cart-17"}}]}]}

== Mia links her account of the shop (messenger-platform/reference/webhook-events/messaging_account_linking)
{"object":"page","entry":[{"id":"1029384756","time":1772442021100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442021000,"account_linking":{"status":"linked","authorization_code":"code-1"}}]}]}

== Mia rates (messenger-platform/send-messages/templates/customer-feedback-template, reference/webhook-events/response_feedback)
{"object":"page","entry":[{"id":"1029384756","time":1772442023100,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442022000,"messaging_feedback":{"feedback_screens":[{"screen_id":0,"questions":{"service":{"type":"csat","payload":"4","follow_up":{"type":"free_form","payload":"Quick!"}},"recommend":{"type":"nps","payload":"9"}}}]}},{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":1772442023000,"response_feedback":{"feedback":"Good response","mid":"m_8"}}]}]}

== Meta warns the page (messenger-platform/reference/webhook-events/messaging_policy_enforcement)
{"object":"page","entry":[{"id":"1029384756","time":1772442024100,"messaging":[{"recipient":{"id":"1029384756"},"timestamp":1772442024000,"policy_enforcement":{"action":"warning","reason":"Too many messages"}}]}]}

== a menu of roles (messenger-platform/reference/webhook-events/messaging_handovers)
{"object":"page","entry":[{"id":"1029384756","time":1772442025100,"messaging":[{"recipient":{"id":"1029384756"},"timestamp":1772442025000,"app_roles":{"99887766":["primary_receiver"]}}]}]}

== the page posts (graph-api/webhooks/reference/page, feed)
{"object":"page","entry":[{"id":"1029384756","time":1772442030,"changes":[{"field":"feed","value":{"item":"status","verb":"add","post_id":"1029384756_700","created_time":1772442030,"published":1,"from":{"id":"1029384756","name":"Lumen"},"message":"New lamps are here."}}]}]}

== Tom comments, Mia answers him, the page answers both (graph-api/webhooks/reference/page, feed)
{"object":"page","entry":[{"id":"1029384756","time":1772442033,"changes":[{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"700_801","post_id":"1029384756_700","parent_id":"1029384756_700","created_time":1772442031,"from":{"id":"6100000000000002","name":"Tom Beck"},"message":"How bright?"}},{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"700_802","post_id":"1029384756_700","parent_id":"700_801","created_time":1772442032,"from":{"id":"6100000000000001","name":"Mia Sand"},"message":"Very!","photo":"https://scontent.xx.fbcdn.net/v/bright.jpg"}},{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"700_803","post_id":"1029384756_700","parent_id":"700_801","created_time":1772442033,"from":{"id":"1029384756","name":"Lumen"},"message":"800 lumens."}}]}]}

== Tom edits, Mia's comment is hidden and removed (graph-api/webhooks/reference/page, feed)
{"object":"page","entry":[{"id":"1029384756","time":1772442036,"changes":[{"field":"feed","value":{"item":"comment","verb":"edited","comment_id":"700_801","post_id":"1029384756_700","parent_id":"1029384756_700","created_time":1772442034,"from":{"id":"6100000000000002","name":"Tom Beck"},"message":"How bright is it?"}},{"field":"feed","value":{"item":"comment","verb":"hide","comment_id":"700_802","post_id":"1029384756_700","parent_id":"700_801","created_time":1772442035,"from":{"id":"6100000000000001","name":"Mia Sand"},"message":"Very!"}},{"field":"feed","value":{"item":"comment","verb":"remove","comment_id":"700_802","post_id":"1029384756_700","parent_id":"700_801","created_time":1772442036,"from":{"id":"6100000000000001","name":"Mia Sand"}}}]}]}

== a heart for the post, and one for Tom's comment (graph-api/webhooks/reference/page, feed)
{"object":"page","entry":[{"id":"1029384756","time":1772442038,"changes":[{"field":"feed","value":{"item":"reaction","verb":"add","reaction_type":"love","post_id":"1029384756_700","parent_id":"1029384756_700","created_time":1772442037,"from":{"id":"6100000000000001","name":"Mia Sand"}}},{"field":"feed","value":{"item":"reaction","verb":"add","reaction_type":"like","post_id":"1029384756_700","parent_id":"1029384756_700","comment_id":"700_801","created_time":1772442038,"from":{"id":"6100000000000001","name":"Mia Sand"}}}]}]}

== Tom posts at the page (graph-api/webhooks/reference/page, feed)
{"object":"page","entry":[{"id":"1029384756","time":1772442040,"changes":[{"field":"feed","value":{"item":"photo","verb":"add","post_id":"1029384756_710","photo_id":"9001","link":"https://scontent.xx.fbcdn.net/v/desk.jpg","created_time":1772442040,"published":1,"from":{"id":"6100000000000002","name":"Tom Beck"},"message":"My desk"}}]}]}

== somebody names the page in a post of another's (graph-api/webhooks/reference/page, mention)
{"object":"page","entry":[{"id":"1029384756","time":1772442041,"changes":[{"field":"mention","value":{"item":"comment","verb":"add","post_id":"777_1","comment_id":"1_2","created_time":1772442041,"message":"Try Lumen"}},{"field":"mention","value":{"item":"post","verb":"add","post_id":"778_5","created_time":1772442042,"message":"Lumen is great"}}]}]}
