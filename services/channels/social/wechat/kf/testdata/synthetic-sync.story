Synthetic: items of sync_msg's msg_list, composed from https://developer.work.weixin.qq.com/document/path/94670, for no capture of them is at hand. The names of
the fields were compared with those of silenceper/wechat, xen0n/go-workwx and other SDKs. Meeting, schedule and note are not described there.

== a customer opens the chat by a link of the shop
{"msgid":"5Ry1","send_time":1772442000,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","scene":"shop","scene_param":"order=17","welcome_code":"WELCOME17"}}

== and writes
{"msgid":"5Ry2","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442010,"origin":3,"msgtype":"text","text":{"content":"水壶漏水了"}}

== a choice from the menu that the bot sent
{"msgid":"5Ry3","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442020,"origin":3,"msgtype":"text","text":{"content":"人工客服","menu_id":"human"}}

== a picture
{"msgid":"5Ry4","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442030,"origin":3,"msgtype":"image","image":{"media_id":"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvgw"}}

== a voice
{"msgid":"5Ry5","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442040,"origin":3,"msgtype":"voice","voice":{"media_id":"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvg1"}}

== a video
{"msgid":"5Ry6","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442050,"origin":3,"msgtype":"video","video":{"media_id":"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvg2"}}

== a file
{"msgid":"5Ry7","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442060,"origin":3,"msgtype":"file","file":{"media_id":"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvg3"}}

== a place, whose degrees stand in strings
{"msgid":"5Ry8","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442070,"origin":3,"msgtype":"location","location":{"latitude":"23.106021881103501","longitude":113.320503234863,"name":"广州国际媒体港(广州市海珠区)","address":"广东省广州市海珠区滨江东路"}}

== an order
{"msgid":"5Ry9","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442080,"origin":3,"msgtype":"channels_shop_order","channels_shop_order":{"order_id":"ORDER-17","product_titles":"不锈钢水壶","price_wording":"总价:￥107.20","state":"已完成","image_url":"https://mmecimage.cn/p/1","shop_nickname":"露明"}}

== a product
{"msgid":"5Rya","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442090,"origin":3,"msgtype":"channels_shop_product","channels_shop_product":{"product_id":"PRODUCT-42","head_image":"https://mmecimage.cn/p/2","title":"不锈钢水壶","sales_price":"10720","shop_nickname":"露明","shop_head_image":"https://mmecimage.cn/p/3"}}

== a link
{"msgid":"5Ryb","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442100,"origin":3,"msgtype":"link","link":{"title":"说明书","desc":"如何更换密封圈","url":"https://lumen.example/manual","pic_url":"https://lumen.example/manual.png"}}

== a card, a mini-program, Channels
{"msgid":"5Ryc","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442110,"origin":3,"msgtype":"business_card","business_card":{"userid":"USERID"}}

== a mini-program
{"msgid":"5Ryd","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442120,"origin":3,"msgtype":"miniprogram","miniprogram":{"title":"露明商城","appid":"wx8abf26b7e2f5f6d3","pagepath":"pages/order.html?id=17","thumb_media_id":"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvg4"}}

== Channels
{"msgid":"5Rye","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442130,"origin":3,"msgtype":"channels","channels":{"sub_type":1,"nickname":"露明","title":"新品"}}

== a conversation that was had elsewhere
{"msgid":"5Ryf","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442140,"origin":3,"msgtype":"merged_msg","merged_msg":{"title":"王芳和李雷的聊天记录","item":[{"sender_name":"王芳","send_time":1772440000,"msgtype":"text","msg_content":"{\"msgtype\":\"text\",\"text\":{\"content\":\"你的也漏吗?\"}}"},{"sender_name":"李雷","send_time":1772440010,"msgtype":"image","msg_content":"{\"msgtype\":\"image\",\"image\":{\"media_id\":\"2iSLeVyqzk4eX0IB5kTi9Ljfa2rt9dwfq5WKRQ4Nvvg5\"}}"},{"sender_name":"王芳","send_time":1772440020,"msgtype":"merged_msg","msg_content":"{\"msgtype\":\"merged_msg\",\"merged_msg\":{\"title\":\"群聊\",\"item\":[{\"sender_name\":\"群主\",\"msg_content\":\"{\\\"msgtype\\\":\\\"text\\\",\\\"text\\\":{\\\"content\\\":\\\"召回了\\\"}}\"}]}}"},{"sender_name":"李雷","send_time":1772440030,"msgtype":7,"msg_content":"?"}]}}

== a note, of which nothing is told
{"msgid":"5Ryg","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442150,"origin":3,"msgtype":"note","note":{}}

== a meeting
{"msgid":"5Ryh","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442160,"origin":3,"msgtype":"meeting","meeting":{"topic":"看看水壶","start_time":1772446000,"hosts":["王芳"]}}

== a schedule
{"msgid":"5Ryi","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442170,"origin":3,"msgtype":"schedule","schedule":{"summary":"上门维修","location":"家"}}

== something of tomorrow
{"msgid":"5Ryj","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442180,"origin":3,"msgtype":"Hologram.v2","hologram":{"id":1}}

== zhangsan begins to take customers
{"msgid":"5Ryk","send_time":1772442190,"origin":4,"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"zhangsan","status":1,"open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"}}

== she takes the customer from the pool
{"msgid":"5Ryl","send_time":1772442200,"origin":4,"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","change_type":1,"new_servicer_userid":"zhangsan","msg_code":"MSGCODE17"}}

== she answers
{"msgid":"5Rym","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442210,"origin":5,"servicer_userid":"zhangsan","msgtype":"text","text":{"content":"我帮您看看"}}

== she takes that back
{"msgid":"5Ryn","send_time":1772442220,"origin":4,"msgtype":"event","event":{"event_type":"servicer_recall_msg","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","recall_msgid":"5Rym","servicer_userid":"zhangsan"}}

== she hands the customer over
{"msgid":"5Ryo","send_time":1772442230,"origin":4,"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","change_type":2,"old_servicer_userid":"zhangsan","new_servicer_userid":"lisi"}}

== the customer takes a message back
{"msgid":"5Ryp","send_time":1772442240,"origin":4,"msgtype":"event","event":{"event_type":"user_recall_msg","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","recall_msgid":"5Ryi"}}

== lisi sends a menu
{"msgid":"5Ryq","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","send_time":1772442250,"origin":5,"servicer_userid":"lisi","msgtype":"msgmenu","msgmenu":{"head_content":"您对本次服务是否满意呢? ","list":[{"type":"click","click":{"id":"101","content":"满意"}},{"type":"click","click":{"id":"102","content":"不满意"}},{"type":"view","view":{"url":"https://work.weixin.qq.com","content":"点击跳转到自助查询页面"}},{"type":"miniprogram","miniprogram":{"appid":"wx123123123123123","pagepath":"pages/index?userid=zhangsan","content":"点击打开小程序查询更多"}}],"tail_content":"欢迎再次光临"}}

== lisi ends the session
{"msgid":"5Ryr","send_time":1772442260,"origin":4,"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","change_type":3,"old_servicer_userid":"lisi"}}

== lisi takes it up again
{"msgid":"5Rys","send_time":1772442270,"origin":4,"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","change_type":4,"old_servicer_userid":"lisi","new_servicer_userid":"lisi"}}

== zhangsan takes it back
{"msgid":"5Ryt","send_time":1772442280,"origin":4,"msgtype":"event","event":{"event_type":"session_status_change","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","change_type":4,"old_servicer_userid":"lisi","new_servicer_userid":"zhangsan"}}

== a message of the API's does not arrive
{"msgid":"5Ryu","send_time":1772442290,"origin":4,"msgtype":"event","event":{"event_type":"msg_send_fail","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","fail_msgid":"0190b6f1a1b2c3d4e5f60718293a4b5c","fail_type":10}}

== zhangsan wants no more of this customer
{"msgid":"5Ryv","send_time":1772442300,"origin":4,"msgtype":"event","event":{"event_type":"reject_customer_msg_switch_change","servicer_userid":"zhangsan","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw","reject_switch":1}}

== she is away
{"msgid":"5Ryw","send_time":1772442310,"origin":4,"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"zhangsan","status":2,"stop_type":1,"open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"}}

== she goes home
{"msgid":"5Ryx","send_time":1772442320,"origin":4,"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"zhangsan","status":2,"stop_type":0,"open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"}}

== another customer comes from Channels
{"msgid":"5Ryy","send_time":1772442330,"origin":4,"msgtype":"event","event":{"event_type":"enter_session","open_kfid":"wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","external_userid":"wmAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw","wechat_channels":{"shop_nickname":"露明","scene":4}}}
