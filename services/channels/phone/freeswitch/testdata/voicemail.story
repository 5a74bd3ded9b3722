# A caller reaches nobody and leaves a message. The event of mod_voicemail holds the channel on some versions and not on others.
# Synthetic: composed from the page https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules (mod_voicemail: vm::maintenance).
core: 3f0c1a4e-0000-4000-8000-000000000005

@message VM-Action: leave-message
@message VM-User: 1000
@message VM-Domain: pbx.example
@message VM-Caller-ID-Name: Ivo
@message VM-Caller-ID-Number: +420224151234
@message VM-Folder: inbox
@message VM-File-Path: /var/lib/freeswitch/storage/voicemail/default/pbx.example/1000/msg_1.wav
@message VM-Message-Len: 14

== 2026-02-02T15:00:00Z CHANNEL_CREATE
Unique-ID: 11111111-eeee-4000-8000-000000000001
Channel-Call-UUID: 11111111-eeee-4000-8000-000000000001
Call-Direction: inbound
Caller-Caller-ID-Name: Ivo
Caller-Caller-ID-Number: +420224151234
Caller-Destination-Number: 08912345
== 2026-02-02T15:00:40Z CUSTOM vm::maintenance
Unique-ID: 11111111-eeee-4000-8000-000000000001
Channel-Call-UUID: 11111111-eeee-4000-8000-000000000001
VM-UUID: 66666666-eeee-4000-8000-000000000001
@message
== 2026-02-02T15:00:41Z CUSTOM vm::maintenance
VM-Action: folder-summary
VM-User: 1000
== 2026-02-02T15:00:42Z CHANNEL_HANGUP_COMPLETE
Unique-ID: 11111111-eeee-4000-8000-000000000001
Channel-Call-UUID: 11111111-eeee-4000-8000-000000000001
Call-Direction: inbound
Caller-Caller-ID-Number: +420224151234
Caller-Destination-Number: 08912345
Hangup-Cause: NORMAL_CLEARING
variable_sip_hangup_disposition: recv_bye
== 2026-02-02T15:10:00Z CUSTOM vm::maintenance
VM-UUID: 66666666-eeee-4000-8000-000000000002
@message
