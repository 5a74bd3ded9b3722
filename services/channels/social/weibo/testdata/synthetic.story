Synthetic: composed for the tests from the examples of https://open.weibo.com/wiki/Receive_General_Message,
https://open.weibo.com/wiki/Receive_Event_Push and https://open.weibo.com/wiki/消息推送服务. The company is Lumen Lamps, 1902538057.

== Xiaomei follows the account by a QR code in the shop
{"type":"event","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:00:00 +0800 2026","text":"扫描二维码","data":{"subtype":"scan_follow","key":"shop-17","ticket":"gQH47jo"}}

== subscribes
{"type":"event","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:00:05 +0800 2026","text":"订阅事件消息","data":{"subtype":"subscribe"}}

== chooses from the menu
{"type":"event","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:00:30 +0800 2026","text":"自定义菜单拉取消息事件消息","data":{"subtype":"click","key":"orders"}}

== opens a page from the menu
{"type":"event","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:00:40 +0800 2026","text":"自定义菜单跳转链接事件消息","data":{"subtype":"view","key":"https:\/\/lumen.example\/help"}}

== writes
{"type":"text","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:01:00 +0800 2026","text":"我的灯什么时候到？","data":{}}

== says the same again a second later
{"type":"text","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:01:01 +0800 2026","text":"我的灯什么时候到？","data":{}}

== and within the same second something else
{"type":"text","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:01:01 +0800 2026","text":"订单17","data":{}}

== sends a picture
{"type":"image","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:02:00 +0800 2026","text":"发了一张图片","data":{"vfid":821804459,"tovfid":821804469}}

== a voice message
{"type":"voice","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:02:30 +0800 2026","text":"发了一个语音消息","data":{"vfid":"821804460","tovfid":"821804470"}}

== where she is
{"type":"position","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:03:00 +0800 2026","text":"我在这里: http:\/\/t.cn\/zQgLLYO","data":{"longitude":"116.308586","latitude":"39.982525"}}

== somebody scans a code, being a follower already
{"type":"event","receiver_id":1902538057,"sender_id":2489518278,"created_at":"Mon Mar 02 17:04:00 +0800 2026","text":"扫描二维码","data":{"subtype":"scan","key":"shop-18","ticket":"gQH48jo"}}

== mentions the account in a post
{"type":"mention","receiver_id":1902538057,"sender_id":2489518278,"created_at":"Mon Mar 02 17:05:00 +0800 2026","text":"@卢门灯具 你们的灯真亮","data":{"subtype":"status","key":"5140000000000001"}}

== mentions it in a comment on somebody's post
{"type":"mention","receiver_id":1902538057,"sender_id":2489518278,"created_at":"Mon Mar 02 17:06:00 +0800 2026","text":"问问 @卢门灯具","data":{"subtype":"comment","key":"5140000000000002"}}

== something new that Weibo tells of
{"type":"video","receiver_id":1902538057,"sender_id":2489518278,"created_at":"Mon Mar 02 17:07:00 +0800 2026","text":"发了一个视频","data":{"vfid":1,"tovfid":2}}

== Xiaomei unfollows
{"type":"event","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:08:00 +0800 2026","text":"取消关注事件消息","data":{"subtype":"unfollow"}}
