# Synthetic: nobody's messages. Composed from what WeChat documents of mini-programs, in both data formats:
#   https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html
#   https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html
# A customer asks for help from the page of an order, writes, sends a picture and the card of the lamp.

== the customer enters the session from the page of an order
{"ToUserName":"gh_mini","FromUserName":"oMini_customer_1","CreateTime":1772443000,"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"order:17"}

== writes
{
  "ToUserName": "gh_mini",
  "FromUserName": "oMini_customer_1",
  "CreateTime": 1772443010,
  "MsgType": "text",
  "Content": "我的灯在哪里？",
  "MsgId": 9223372036854775807
}

== sends a picture
{"ToUserName":"gh_mini","FromUserName":"oMini_customer_1","CreateTime":"1772443020","MsgType":"image","PicUrl":"https://mmbiz.qpic.cn/lamp","MediaId":"media-mini","MsgId":"25000000000000101"}

== sends the card of the lamp
{"ToUserName":"gh_mini","FromUserName":"oMini_customer_1","CreateTime":1772443030,"MsgType":"miniprogrampage","MsgId":25000000000000102,"Title":"The lamp","AppId":"wx00000000000000a2","PagePath":"pages/lamp?id=17","ThumbUrl":"https://mmbiz.qpic.cn/thumb","ThumbMediaId":"media-thumb"}

== allows a template
{"ToUserName":"gh_mini","FromUserName":"oMini_customer_1","CreateTime":"1772443040","MsgType":"event","Event":"subscribe_msg_popup_event","List":[{"TemplateId":"hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68","SubscribeStatusString":"accept","PopupScene":"0"}]}

== what became of a subscription message
{"ToUserName":"gh_mini","FromUserName":"oMini_customer_1","CreateTime":"1772443050","MsgType":"event","Event":"subscribe_msg_sent_event","SubscribeMsgSentEvent":{"List":[{"TemplateId":"BEwX0BOT3MqK3Uc5oTU3CGBqzjpndk2jzUf7VfExd8","MsgID":"1864323726461255680","ErrorCode":"0","ErrorStatus":"success"}]}}

== the same program in XML: another customer writes
<xml>
   <ToUserName><![CDATA[gh_mini]]></ToUserName>
   <FromUserName><![CDATA[oMini_customer_2]]></FromUserName>
   <CreateTime>1772443060</CreateTime>
   <MsgType><![CDATA[text]]></MsgType>
   <Content><![CDATA[this is a test]]></Content>
   <MsgId>25000000000000103</MsgId>
</xml>

== and comes from a card
<xml>
   <ToUserName><![CDATA[gh_mini]]></ToUserName>
   <FromUserName><![CDATA[oMini_customer_2]]></FromUserName>
   <CreateTime>1772443061</CreateTime>
   <MsgType><![CDATA[event]]></MsgType>
   <Event><![CDATA[user_enter_tempsession]]></Event>
   <SessionFrom><![CDATA[]]></SessionFrom>
</xml>
