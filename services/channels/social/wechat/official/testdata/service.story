# Synthetic: nobody's messages. Composed from what WeChat documents of service accounts:
#   https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_standard_messages.html
#   https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_event_pushes.html
#   https://developers.weixin.qq.com/doc/service/guide/product/menu/Custom_Menu_Push_Events.html
#   https://developers.weixin.qq.com/doc/service/guide/product/customer/
#   https://developers.weixin.qq.com/doc/service/guide/product/notify/
# A customer scans the code on the counter and follows Lumen's account, looks around in its menu, and asks for her lamp, in
# writing, by voice, with a picture and a video. Ada takes the session, hands it over to Ben, and Ben closes it. A template tells that the lamp is on
# its way; another customer does not want such messages.

== the customer follows the account by the code on the counter
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442000</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[subscribe]]></Event>
<EventKey><![CDATA[qrscene_counter-3]]></EventKey>
<Ticket><![CDATA[gQH47joAAAAAAAAAASxodHRwOi8vd2VpeGluLnFxLmNvbS9xLzJfTlpjVGZ]]></Ticket>
</xml>

== chooses from the menu
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442010</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[CLICK]]></Event>
<EventKey><![CDATA[ORDERS]]></EventKey>
</xml>

== opens a page from it
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442020</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[VIEW]]></Event>
<EventKey><![CDATA[https://lumen.example/orders]]></EventKey>
<MenuId>410418124</MenuId>
</xml>

== opens the mini-program from it
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442030</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[view_miniprogram]]></Event>
<EventKey><![CDATA[pages/index/index]]></EventKey>
<MenuId>410418124</MenuId>
</xml>

== scans the parcel
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442040</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[scancode_waitmsg]]></Event>
<EventKey><![CDATA[PARCEL]]></EventKey>
<ScanCodeInfo><ScanType><![CDATA[barcode]]></ScanType>
<ScanResult><![CDATA[CODE_128,4006381333931]]></ScanResult>
</ScanCodeInfo>
</xml>

== chooses pictures
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442050</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[pic_photo_or_album]]></Event>
<EventKey><![CDATA[DAMAGE]]></EventKey>
<SendPicsInfo><Count>1</Count>
<PicList><item><PicMd5Sum><![CDATA[5a75aaca956d97be686719218f275c6b]]></PicMd5Sum>
</item>
</PicList>
</SendPicsInfo>
</xml>

== and a place on the map
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442060</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[location_select]]></Event>
<EventKey><![CDATA[NEAREST]]></EventKey>
<SendLocationInfo><Location_X><![CDATA[23]]></Location_X>
<Location_Y><![CDATA[113]]></Location_Y>
<Scale><![CDATA[15]]></Scale>
<Label><![CDATA[广州市海珠区客村艺苑路 106号]]></Label>
<Poiname><![CDATA[]]></Poiname>
</SendLocationInfo>
</xml>

== WeChat reports where the customer is
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442070</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[LOCATION]]></Event>
<Latitude>23.137466</Latitude>
<Longitude>113.352425</Longitude>
<Precision>119.385040</Precision>
</xml>

== the customer writes
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442100</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[我的灯在哪里？ <b>& 😀]]></Content>
<MsgId>25000000000000001</MsgId>
<UnionID><![CDATA[oUnion_1]]></UnionID>
</xml>

== chooses from a menu in a message
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442105</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[满意]]></Content>
<MsgId>25000000000000002</MsgId>
<bizmsgmenuid>101</bizmsgmenuid>
</xml>

== sends a picture
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442110</CreateTime>
<MsgType><![CDATA[image]]></MsgType>
<PicUrl><![CDATA[http://mmbiz.qpic.cn/mmbiz_jpg/lamp/0]]></PicUrl>
<MediaId><![CDATA[media-picture]]></MediaId>
<MsgId>25000000000000003</MsgId>
</xml>

== speaks
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442120</CreateTime>
<MsgType><![CDATA[voice]]></MsgType>
<MediaId><![CDATA[media-voice]]></MediaId>
<Format><![CDATA[amr]]></Format>
<Recognition><![CDATA[灯坏了。]]></Recognition>
<MsgId>25000000000000004</MsgId>
<MediaId16K><![CDATA[media-voice-16k]]></MediaId16K>
</xml>

== sends a video
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442130</CreateTime>
<MsgType><![CDATA[video]]></MsgType>
<MediaId><![CDATA[media-video]]></MediaId>
<ThumbMediaId><![CDATA[media-video-thumb]]></ThumbMediaId>
<MsgId>25000000000000005</MsgId>
</xml>

== sends a short video
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442131</CreateTime>
<MsgType><![CDATA[shortvideo]]></MsgType>
<MediaId><![CDATA[media-short]]></MediaId>
<ThumbMediaId><![CDATA[media-short-thumb]]></ThumbMediaId>
<MsgId>25000000000000006</MsgId>
</xml>

== sends where she lives
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442140</CreateTime>
<MsgType><![CDATA[location]]></MsgType>
<Location_X>23.134521</Location_X>
<Location_Y>113.358803</Location_Y>
<Scale>20</Scale>
<Label><![CDATA[位置信息]]></Label>
<MsgId>25000000000000007</MsgId>
</xml>

== and a link
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442150</CreateTime>
<MsgType><![CDATA[link]]></MsgType>
<Title><![CDATA[The lamp]]></Title>
<Description><![CDATA[Brass, 40 cm]]></Description>
<Url><![CDATA[https://lumen.example/lamp?a=1&b=2]]></Url>
<MsgId>25000000000000008</MsgId>
</xml>

== Ada takes the session
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442200</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[kf_create_session]]></Event>
<KfAccount><![CDATA[ada@lumen]]></KfAccount>
</xml>

== Ada hands it over to Ben
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442300</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[kf_switch_session]]></Event>
<FromKfAccount><![CDATA[ada@lumen]]></FromKfAccount>
<ToKfAccount><![CDATA[ben@lumen]]></ToKfAccount>
</xml>

== Ben closes it
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442400</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[kf_close_session]]></Event>
<KfAccount><![CDATA[ben@lumen]]></KfAccount>
</xml>

== the template has arrived
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442500</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event>
<MsgID>200163836</MsgID>
<Status><![CDATA[success]]></Status>
</xml>

== another customer does not want it
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_2]]></FromUserName>
<CreateTime>1772442501</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event>
<MsgID>200163837</MsgID>
<Status><![CDATA[failed:user block]]></Status>
</xml>

== nor subscription messages but one
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_2]]></FromUserName>
<CreateTime>1772442510</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[subscribe_msg_popup_event]]></Event>
<SubscribeMsgPopupEvent>
<List><TemplateId><![CDATA[VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc]]></TemplateId>
<SubscribeStatusString><![CDATA[accept]]></SubscribeStatusString>
<PopupScene>2</PopupScene>
</List>
<List><TemplateId><![CDATA[9nLIlbOQZC5Y89AZteFEux3WCXRRRG5Wfzkpssu4bLI]]></TemplateId>
<SubscribeStatusString><![CDATA[reject]]></SubscribeStatusString>
<PopupScene>2</PopupScene>
</List>
</SubscribeMsgPopupEvent>
</xml>

== and later not that one either
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_2]]></FromUserName>
<CreateTime>1772442520</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[subscribe_msg_change_event]]></Event>
<SubscribeMsgChangeEvent>
<List><TemplateId><![CDATA[VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc]]></TemplateId>
<SubscribeStatusString><![CDATA[reject]]></SubscribeStatusString>
</List>
</SubscribeMsgChangeEvent>
</xml>

== what became of two subscription messages
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_2]]></FromUserName>
<CreateTime>1772442530</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[subscribe_msg_sent_event]]></Event>
<SubscribeMsgSentEvent>
<List><TemplateId><![CDATA[VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc]]></TemplateId>
<MsgID>1700827132819554304</MsgID>
<ErrorCode>0</ErrorCode>
<ErrorStatus><![CDATA[success]]></ErrorStatus>
</List>
<List><TemplateId><![CDATA[9nLIlbOQZC5Y89AZteFEux3WCXRRRG5Wfzkpssu4bLI]]></TemplateId>
<MsgID>1700827132819554305</MsgID>
<ErrorCode>8</ErrorCode>
<ErrorStatus><![CDATA[user refuse to accept the msg]]></ErrorStatus>
</List>
</SubscribeMsgSentEvent>
</xml>

== a mass message is done
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oR5Gjjl_eiZoUpGozMo7dbBJ362A]]></FromUserName>
<CreateTime>1772442600</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[MASSSENDJOBFINISH]]></Event>
<MsgID>1988</MsgID>
<Status><![CDATA[sendsuccess]]></Status>
<TotalCount>100</TotalCount>
<FilterCount>80</FilterCount>
<SentCount>75</SentCount>
<ErrorCount>5</ErrorCount>
</xml>

== the first customer takes a card
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442610</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[user_get_card]]></Event>
<CardId><![CDATA[pFS7Fjg8kV1IdDz01r4SQwMkuCKc]]></CardId>
<IsGiveByFriend>0</IsGiveByFriend>
<UserCardCode><![CDATA[226009850808]]></UserCardCode>
</xml>

== and another in the same second
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442610</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[user_get_card]]></Event>
<CardId><![CDATA[pFS7Fjg8kV1IdDz01r4SQwMkuCKc]]></CardId>
<IsGiveByFriend>0</IsGiveByFriend>
<UserCardCode><![CDATA[226009850809]]></UserCardCode>
</xml>

== the second customer follows the account no more
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_2]]></FromUserName>
<CreateTime>1772442700</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[unsubscribe]]></Event>
<EventKey><![CDATA[]]></EventKey>
</xml>

== an event of tomorrow
<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>
<FromUserName><![CDATA[oLumen_customer_1]]></FromUserName>
<CreateTime>1772442800</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[User.Waves-Hand/明天]]></Event>
</xml>
