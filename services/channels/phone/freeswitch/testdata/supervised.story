# A caller and an agent meet in a conference; a supervisor listens in on the caller's channel; somebody is muted. Synthetic:
# composed from the pages
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules (mod_conference: conference::maintenance)
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557 (MEDIA_BUG_START)
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules (mod_dptools: eavesdrop)
core: 3f0c1a4e-0000-4000-8000-000000000004

@conf Conference-Name: 3000-pbx.example
@conf Conference-Unique-ID: cccccccc-dddd-4000-8000-000000000001
@conf Conference-Profile-Name: default

@caller Unique-ID: 11111111-dddd-4000-8000-000000000001
@caller Channel-Call-UUID: 11111111-dddd-4000-8000-000000000001
@caller Call-Direction: inbound
@caller Caller-Caller-ID-Name: Zoë
@caller Caller-Caller-ID-Number: +33142685300
@caller Caller-Destination-Number: 08912345

@anna Unique-ID: 22222222-dddd-4000-8000-000000000001
@anna Channel-Call-UUID: 22222222-dddd-4000-8000-000000000001
@anna Call-Direction: outbound
@anna Caller-Caller-ID-Number: 08912345
@anna Caller-Destination-Number: 1000

== 2026-02-02T14:00:00Z CHANNEL_CREATE
@caller
== 2026-02-02T14:00:03Z CUSTOM conference::maintenance
Action: add-member
Member-ID: 1
Member-Type: member
@conf
@caller
== 2026-02-02T14:00:05Z CUSTOM conference::maintenance
Action: add-member
Member-ID: 2
Member-Type: moderator
@conf
@anna
== 2026-02-02T14:00:20Z MEDIA_BUG_START
Media-Bug-Function: session_record
Media-Bug-Target: /tmp/a.wav
@caller
== 2026-02-02T14:00:30Z MEDIA_BUG_START
Media-Bug-Function: eavesdrop
Media-Bug-Target: 11111111-dddd-4000-8000-000000000001
@caller
== 2026-02-02T14:00:40Z CUSTOM conference::maintenance
Action: mute-member
Member-ID: 2
@conf
@anna
== 2026-02-02T14:01:30Z MEDIA_BUG_STOP
Media-Bug-Function: eavesdrop
Media-Bug-Target: 11111111-dddd-4000-8000-000000000001
@caller
== 2026-02-02T14:02:00Z CUSTOM conference::maintenance
Action: del-member
Member-ID: 2
@conf
@anna
== 2026-02-02T14:02:10Z CUSTOM conference::maintenance
Action: del-member
Member-ID: 1
@conf
@caller
== 2026-02-02T14:02:10.1Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
variable_sip_hangup_disposition: recv_bye
@caller
