// What the widget says.

const words = {
  en: {
    open: "Open chat", unread: (n) => (n === 1 ? "1 unread message" : `${n} unread messages`), close: "Close chat",
    idle: "", connecting: "Connecting …", online: "Connected", offline: "Offline: messages are sent when you are back",
    label: "Message", hint: "Write a message", send: "Send", log: "Conversation", welcome: "How can we help?",
    sending: "sending …", sent: "sent", read: "read", waiting: "not sent, will retry", refused: "not sent",
    you: "You", agent: "Agent", bot: "Assistant", system: "Notice", now: "now",
    joined: (who) => `${who} joined`, left: (who) => `${who} left`, ended: "The conversation has ended. Write again at any time.",
    edited: "edited", deleted: "This message was taken back.", arrived: (who) => `New message from ${who}`,
    typing: (who, n) => (n === 1 ? `${who} is typing` : `${who} are typing`),
    attach: "Attach a file", remove: (name) => `Remove ${name}`, uploading: (name) => `Uploading ${name}`, uploads: "Files to send",
    download: (name) => `Download ${name}`, notUploaded: "could not be uploaded",
    notDownloaded: "cannot be downloaded now", tooLarge: (max) => `too large: ${max} at most`,
    question: "How was it?", score: (n) => `${n} of 5`, worst: "bad", best: "very good", thanks: "Thank you!", start: "Start the chat",
  },
  zh: {
    open: "打开聊天", unread: (n) => `${n} 条未读消息`, close: "关闭聊天",
    idle: "", connecting: "正在连接…", online: "已连接", offline: "离线：恢复连接后会自动发送",
    label: "消息", hint: "输入消息", send: "发送", log: "对话", welcome: "您好，请问有什么可以帮您？",
    sending: "正在发送…", sent: "已发送", read: "已读", waiting: "未发送，将重试", refused: "未发送",
    you: "您", agent: "客服", bot: "智能助手", system: "通知", now: "刚刚",
    joined: (who) => `${who}已加入`, left: (who) => `${who}已离开`, ended: "对话已结束。您可以随时继续发送消息。",
    edited: "已编辑", deleted: "此消息已撤回。", arrived: (who) => `${who}发来新消息`,
    typing: (who) => `${who}正在输入`,
    attach: "添加文件", remove: (name) => `移除 ${name}`, uploading: (name) => `正在上传 ${name}`, uploads: "待发送的文件",
    download: (name) => `下载 ${name}`, notUploaded: "无法上传",
    notDownloaded: "暂时无法下载", tooLarge: (max) => `文件过大，最大 ${max}`,
    question: "您对本次服务满意吗？", score: (n) => `${n} 分（满分 5 分）`, worst: "不满意", best: "非常满意", thanks: "感谢您的评价！", start: "开始聊天",
  },
};
