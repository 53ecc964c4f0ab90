-- Asks the operator to end the rollout: the stable revision keeps the traffic.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local canary = (obj.status or {}).canary
if canary == nil or canary.state == "Failed" then
  error("nothing to abort: no rollout is under way", 0)
end
local revision = canary.revision

-- The token is new with each change of the object: the operator carries each request out once.
local token = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/rollout"] = "abort@" .. revision .. "#" .. token
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/rollout-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
