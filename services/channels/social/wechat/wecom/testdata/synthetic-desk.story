Synthetic: callbacks of an application, composed from WeCom's documents, for no capture of them is at hand:
https://developer.work.weixin.qq.com/document/path/90239 (messages), 90240 (events), 92130 (external contacts, group chats), 90970 (address book),
91815 (approvals), 93651 (calendars), 96484 (live streams), 90240 (template cards).

== lisi follows the application
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442000</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event><AgentID>1</AgentID></xml>

== she opens it
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442005</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[enter_agent]]></Event><EventKey><![CDATA[]]></EventKey><AgentID>1</AgentID></xml>

== she chooses from the menu
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442010</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[click]]></Event><EventKey><![CDATA[REPORT_FAULT]]></EventKey><AgentID>1</AgentID></xml>

== she writes
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442020</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[打印机卡纸了 & <blinks>
 twice]]></Content><MsgId>7316253421537264</MsgId><AgentID>1</AgentID></xml>

== a picture of it
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442030</CreateTime><MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[https://wework.qpic.cn/wwpic/1]]></PicUrl><MediaId><![CDATA[1G6nrLmr5EC3MMb_-zK1dDdzmd0p7cNliYu9V5w7o8K0]]></MediaId><MsgId>7316253421537265</MsgId><AgentID>1</AgentID></xml>

== the noise that it makes
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442040</CreateTime><MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[1G6nrLmr5EC3MMb_-zK1dDdzmd0p7cNliYu9V5w7o8K1]]></MediaId><Format><![CDATA[amr]]></Format><MsgId>7316253421537266</MsgId><AgentID>1</AgentID></xml>

== where it stands
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442050</CreateTime><MsgType><![CDATA[location]]></MsgType><Location_X>23.134521</Location_X><Location_Y>113.358803</Location_Y><Scale>20</Scale><Label><![CDATA[广州市海珠区新港中路397号]]></Label><MsgId>7316253421537267</MsgId><AgentID>1</AgentID><AppType><![CDATA[wxwork]]></AppType></xml>

== she scans its label
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442060</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[scancode_waitmsg]]></Event><EventKey><![CDATA[DEVICE]]></EventKey><ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType><ScanResult><![CDATA[PRN-0042]]></ScanResult></ScanCodeInfo><AgentID>1</AgentID></xml>

== she answers a card
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442070</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event><EventKey><![CDATA[submit_key]]></EventKey><TaskId><![CDATA[task_17]]></TaskId><CardType><![CDATA[vote_interaction]]></CardType><ResponseCode><![CDATA[ResponseCode]]></ResponseCode><AgentID>1</AgentID><SelectedItems><SelectedItem><QuestionKey><![CDATA[urgent]]></QuestionKey><OptionIds><OptionId><![CDATA[today]]></OptionId><OptionId><![CDATA[ring_me]]></OptionId></OptionIds></SelectedItem><SelectedItem><QuestionKey><![CDATA[floor]]></QuestionKey><OptionIds><OptionId><![CDATA[3]]></OptionId></OptionIds></SelectedItem></SelectedItems></xml>

== she tells where she is
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442080</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[LOCATION]]></Event><Latitude>23.104</Latitude><Longitude>113.320</Longitude><Precision>65.000</Precision><AgentID>1</AgentID><AppType><![CDATA[wxwork]]></AppType></xml>

== a member gets to know an external contact
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442100</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[add_external_contact]]></ChangeType><UserID><![CDATA[zhangsan]]></UserID><ExternalUserID><![CDATA[woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA]]></ExternalUserID><State><![CDATA[shop]]></State><WelcomeCode><![CDATA[WELCOMECODE]]></WelcomeCode></xml>

== and another one in the same second
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442100</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[add_external_contact]]></ChangeType><UserID><![CDATA[lisi]]></UserID><ExternalUserID><![CDATA[woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA]]></ExternalUserID><State><![CDATA[shop]]></State></xml>

== the member edits what is noted of the contact
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442110</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[edit_external_contact]]></ChangeType><UserID><![CDATA[lisi]]></UserID><ExternalUserID><![CDATA[woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA]]></ExternalUserID></xml>

== the contact allows that messages are kept
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442120</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[msg_audit_approved]]></ChangeType><UserID><![CDATA[zhangsan]]></UserID><ExternalUserID><![CDATA[woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA]]></ExternalUserID></xml>

== the contact deletes the member
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442130</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[del_follow_user]]></ChangeType><UserID><![CDATA[zhangsan]]></UserID><ExternalUserID><![CDATA[woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA]]></ExternalUserID></xml>

== somebody joins a group chat
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442140</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_chat]]></Event><ChatId><![CDATA[wrOgQhDgAAMYQiS5ol9G7gK9JVAAAA]]></ChatId><ChangeType><![CDATA[update]]></ChangeType><UpdateDetail><![CDATA[add_member]]></UpdateDetail><JoinScene>1</JoinScene><MemChangeCnt>1</MemChangeCnt></xml>

== the address book changes
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442150</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_contact]]></Event><ChangeType><![CDATA[update_user]]></ChangeType><UserID><![CDATA[zhangsan]]></UserID><Department><![CDATA[1,2,3]]></Department></xml>

== an approval goes on
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1772442160</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[sys_approval_change]]></Event><AgentID>1</AgentID><ApprovalInfo><SpNo>202603020001</SpNo><SpName><![CDATA[采购]]></SpName><SpStatus>1</SpStatus><Applyer><UserId><![CDATA[lisi]]></UserId><Party><![CDATA[1]]></Party></Applyer><StatuChangeEvent>1</StatuChangeEvent></ApprovalInfo></xml>

== a live stream ends
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName><CreateTime>1772442170</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[living_status_change]]></Event><LivingId><![CDATA[lvzhangsan17]]></LivingId><Status>2</Status></xml>

== lisi leaves the application
<xml><ToUserName><![CDATA[ww2f6c1d0a9b8e7f55]]></ToUserName><FromUserName><![CDATA[lisi]]></FromUserName><CreateTime>1772442180</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[unsubscribe]]></Event><AgentID>1</AgentID></xml>
