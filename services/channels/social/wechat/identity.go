package wechat

// UnionNamespace is the name space of union ids, which are identifiers: one person has the same at all official accounts, mini-programs and WeCom
// companies that are bound to one account of WeChat's Open Platform.
const UnionNamespace = "wechat/unionid"
