# An agent signs in, is offered a call, talks, takes a break, and signs out. Synthetic: composed from the page
# https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_callcenter_1049389 (agent-status-change, agent-state-change).
core: 3f0c1a4e-0000-4000-8000-000000000006

== 2026-02-02T08:00:00Z CUSTOM callcenter::info
CC-Action: agent-status-change
CC-Agent: 1000@default
CC-Agent-Status: Available
== 2026-02-02T08:00:00.1Z CUSTOM callcenter::info
CC-Action: agent-state-change
CC-Agent: 1000@default
CC-Agent-State: Waiting
== 2026-02-02T08:10:00Z CUSTOM callcenter::info
CC-Action: agent-state-change
CC-Agent: 1000@default
CC-Agent-State: Receiving
== 2026-02-02T08:10:05Z CUSTOM callcenter::info
CC-Action: agent-state-change
CC-Agent: 1000@default
CC-Agent-State: In a queue call
== 2026-02-02T08:10:06Z CUSTOM callcenter::info
CC-Action: agent-status-get
CC-Agent: 1000@default
CC-Agent-Status: Available
== 2026-02-02T08:20:00Z CUSTOM callcenter::info
CC-Action: agent-state-change
CC-Agent: 1000@default
CC-Agent-State: Idle
== 2026-02-02T08:20:01Z CUSTOM callcenter::info
CC-Action: agent-status-change
CC-Agent: 1000@default
CC-Agent-Status: On Break
== 2026-02-02T08:40:00Z CUSTOM callcenter::info
CC-Action: agent-status-change
CC-Agent: not named@default
CC-Agent-Status: Available (On Demand)
== 2026-02-02T09:00:00Z CUSTOM callcenter::info
CC-Action: agent-status-change
CC-Agent: 1000@default
CC-Agent-Status: Logged Out
