Synthetic: composed for the tests from the payload examples of https://docs.x.com/x-api/account-activity/introduction#payload-examples,
of the message create object (https://developer.x.com/en/docs/direct-messages/sending-and-receiving/guides/message-create-object) and of
the post object of API 1.1, cut down to what matters. The company is Lumen Lamps, 1000000001; its service account is 1000000002.

== Mia asks in public where her lamp is
{"for_user_id":"1000000001","user_has_blocked":false,"tweet_create_events":[{"created_at":"Mon Mar 02 09:00:00 +0000 2026","id":2028394880824246273,"id_str":"2028394880824246273","text":"@LumenLamps where is my lamp? Ordered &amp; paid 3 weeks ago https:\/\/t.co\/aaaaaaaaaa https:\/\/t.co\/mediaaaaaa","display_text_range":[0,84],"truncated":false,"in_reply_to_status_id_str":null,"in_reply_to_user_id_str":"1000000001","lang":"en","user":{"id":501,"id_str":"501","name":"Mia","screen_name":"mia_k"},"entities":{"hashtags":[],"urls":[{"url":"https:\/\/t.co\/aaaaaaaaaa","expanded_url":"https:\/\/lumen.example\/orders\/17","display_url":"lumen.example\/orders\/17","indices":[61,84]}],"user_mentions":[{"screen_name":"LumenLamps","name":"Lumen","id":1000000001,"id_str":"1000000001","indices":[0,11]}],"symbols":[],"media":[{"id_str":"2028396900000000001","url":"https:\/\/t.co\/mediaaaaaa","media_url_https":"https:\/\/pbs.twimg.com\/media\/Lamp17.jpg","type":"photo"}]},"extended_entities":{"media":[{"id_str":"2028396900000000001","url":"https:\/\/t.co\/mediaaaaaa","media_url_https":"https:\/\/pbs.twimg.com\/media\/Lamp17.jpg","type":"photo"}]}}]}

== the company answers her on x.com
{"for_user_id":"1000000001","tweet_create_events":[{"created_at":"Mon Mar 02 09:10:00 +0000 2026","id":2028397397406646274,"id_str":"2028397397406646274","text":"@mia_k Please send us your order number by direct message.","display_text_range":[7,58],"in_reply_to_status_id_str":"2028394880824246273","in_reply_to_user_id_str":"501","user":{"id_str":"1000000001","name":"Lumen","screen_name":"LumenLamps"},"entities":{"urls":[],"user_mentions":[{"id_str":"501","screen_name":"mia_k"}]}}]}

== she replies, at length
{"for_user_id":"1000000001","user_has_blocked":false,"tweet_create_events":[{"created_at":"Mon Mar 02 09:12:00 +0000 2026","id":2028397900723126275,"id_str":"2028397900723126275","text":"@LumenLamps I have done so twice already, the first time…","display_text_range":[0,140],"truncated":true,"in_reply_to_status_id_str":"2028397397406646274","in_reply_to_user_id_str":"1000000001","lang":"en","user":{"id_str":"501","name":"Mia","screen_name":"mia_k"},"extended_tweet":{"full_text":"@LumenLamps I have done so twice already, the first time on Sunday. 我的灯呢？","display_text_range":[12,73],"entities":{"urls":[]}},"entities":{"urls":[]}}]}

== Tom quotes the company's post, and the post says what conversation it is in
{"for_user_id":"1000000001","tweet_create_events":[{"created_at":"Mon Mar 02 09:20:00 +0000 2026","id":2028399913989046276,"id_str":"2028399913989046276","conversation_id_str":"2028399913989046276","text":"Not the only one https:\/\/t.co\/qqqqqqqqqq","display_text_range":[0,16],"lang":"en","user":{"id_str":"502","name":"","screen_name":"tom"},"quoted_status":{"id_str":"2028397397406646274","text":"@mia_k Please send us your order number by direct message.","display_text_range":[7,58],"user":{"id_str":"1000000001"}},"entities":{"urls":[{"url":"https:\/\/t.co\/qqqqqqqqqq","expanded_url":"https:\/\/twitter.com\/LumenLamps\/status\/2028397397406646274"}]}}]}

== Tom corrects it
{"for_user_id":"1000000001","tweet_create_events":[{"created_at":"Mon Mar 02 09:21:00 +0000 2026","id":2028400165647286277,"id_str":"2028400165647286277","text":"Not the only one, @LumenLamps","lang":"en","user":{"id_str":"502","name":"","screen_name":"tom"},"edit_history":{"initial_tweet_id":"2028399913989046276","edit_tweet_ids":["2028399913989046276","2028400165647286277"]}}]}

== Ida reposts, likes and follows
{"for_user_id":"1000000001","tweet_create_events":[{"created_at":"Mon Mar 02 09:30:00 +0000 2026","id_str":"2028402430571446278","text":"RT @LumenLamps: Please send us","user":{"id_str":"503","name":"Ida","screen_name":"ida"},"retweeted_status":{"id_str":"2028397397406646274","user":{"id_str":"1000000001"}}}]}

== likes
{"for_user_id":"1000000001","favorite_events":[{"id":"a7ba59eab0bfcba386f7acedac279542","created_at":"Mon Mar 02 09:31:00 +0000 2026","timestamp_ms":1772443860140,"favorited_status":{"id":2028397397406646274,"id_str":"2028397397406646274","user":{"id_str":"1000000001"}},"user":{"id":503,"id_str":"503","name":"Ida","screen_name":"ida"}}]}

== and follows
{"for_user_id":"1000000001","follow_events":[{"type":"follow","created_timestamp":"1772443920178","target":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"},"source":{"id":"503","name":"Ida","screen_name":"ida"}}]}

== Mia writes a direct message, with a picture
{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028407463736246279","created_timestamp":"1772445000000","message_create":{"target":{"recipient_id":"1000000001"},"sender_id":"501","source_app_id":"268278","message_data":{"text":"Order 17, here is the bill https:\/\/t.co\/dmaaaaaaaa","entities":{"hashtags":[],"symbols":[],"user_mentions":[],"urls":[{"url":"https:\/\/t.co\/dmaaaaaaaa","expanded_url":"https:\/\/twitter.com\/messages\/media\/2028407463736246279"}]},"attachment":{"type":"media","media":{"id_str":"2028409480000000001","url":"https:\/\/t.co\/dmaaaaaaaa","media_url_https":"https:\/\/ton.twitter.com\/1.1\/ton\/data\/dm\/2028407463736246279\/2028409480000000001\/7WY9gUyS.jpg","type":"photo"}}}}}],"users":{"501":{"id":"501","created_timestamp":"1422556069340","name":"Mia","screen_name":"mia_k"},"1000000001":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"}},"apps":{"268278":{"id":"268278","name":"Twitter Web Client"}}}

== somebody of the company answers on another device, with a button
{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028408722027446280","created_timestamp":"1772445300000","message_create":{"target":{"recipient_id":"501"},"sender_id":"1000000001","message_data":{"text":"It left our house on Monday.","entities":{"urls":[]},"ctas":[{"type":"web_url","label":"Track it","url":"https:\/\/lumen.example\/track\/17"}]}}}],"users":{"501":{"id":"501","name":"Mia","screen_name":"mia_k"}}}

== what Skein sent itself comes back as well, and tells nothing
{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028408973685686281","created_timestamp":"1772445360000","message_create":{"target":{"recipient_id":"501"},"sender_id":"1000000001","source_app_id":"13090192","message_data":{"text":"Are you at home at ten?","entities":{"urls":[]}}}}]}

== Mia types
{"for_user_id":"1000000001","direct_message_indicate_typing_events":[{"created_timestamp":"1772445400443","sender_id":"501","target":{"recipient_id":"1000000001"}}],"users":{"501":{"id":"501","name":"Mia","screen_name":"mia_k"}}}

== reads
{"for_user_id":"1000000001","direct_message_mark_read_events":[{"created_timestamp":"1772445420000","sender_id":"501","target":{"recipient_id":"1000000001"},"last_read_event_id":"2028408973685686281"}],"users":{"501":{"id":"501","name":"Mia","screen_name":"mia_k"}}}

== chooses a quick reply, and says where she is
{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028409728660406282","created_timestamp":"1772445540000","message_create":{"target":{"recipient_id":"1000000001"},"sender_id":"501","message_data":{"text":"Yes","entities":{"urls":[]},"quick_reply_response":{"type":"options","metadata":"at_home_yes"}}}},{"type":"message_create","id":"2028409980318646283","created_timestamp":"1772445600000","message_create":{"target":{"recipient_id":"1000000001"},"sender_id":"501","message_data":{"text":"","entities":{"urls":[]},"attachment":{"type":"location","location":{"type":"shared_coordinate","shared_coordinate":{"coordinates":{"type":"Point","coordinates":[13.37705,52.51629]}}}}}}}],"users":{"501":{"id":"501","name":"Mia","screen_name":"mia_k"}}}

== Bo writes to the service account, by the same webhook
{"for_user_id":"1000000002","direct_message_events":[{"type":"message_create","id":"2028410231976886284","created_timestamp":"1772445660000","initiated_via":{"tweet_id":"2028397397406646274","welcome_message_id":"456789"},"message_create":{"target":{"recipient_id":"1000000002"},"sender_id":"504","message_data":{"text":"Hello &lt;3","entities":{"urls":[]}}}}],"users":{"504":{"id":"504","name":"Bo","screen_name":"bo"}}}

== the company mutes, blocks and unblocks somebody
{"for_user_id":"1000000001","mute_events":[{"type":"mute","created_timestamp":"1772445700000","source":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"},"target":{"id":"505","name":"Spam","screen_name":"spam"}}],"block_events":[{"type":"block","created_timestamp":"1772445710000","source":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"},"target":{"id":"505","name":"Spam","screen_name":"spam"}},{"type":"unblock","created_timestamp":"1772445720000","source":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"},"target":{"id":"505","name":"Spam","screen_name":"spam"}}]}

== Mia unfollows
{"for_user_id":"1000000001","follow_events":[{"type":"unfollow","created_timestamp":"1772445730000","source":{"id":"501","name":"Mia","screen_name":"mia_k"},"target":{"id":"1000000001","name":"Lumen","screen_name":"LumenLamps"}}]}

== the company deletes its reply
{"for_user_id":"1000000001","tweet_delete_events":[{"status":{"id":"2028397397406646274","user_id":"1000000001"},"timestamp_ms":"1772445800593"}]}

== something new that X tells of
{"for_user_id":"1000000001","spaces_events":[{"type":"started","space_id":"1OwGW"}]}

== a replay is over
{"replay_job_status":{"webhook_id":"1946222","job_state":"Complete","job_state_description":"Job completed successfully","job_id":"1442"}}

== the service account takes its authorisation back
{"user_event":{"revoke":{"date_time":"2026-03-02T10:05:00+00:00","target":{"app_id":"13090192"},"source":{"user_id":"1000000002"}}}}
