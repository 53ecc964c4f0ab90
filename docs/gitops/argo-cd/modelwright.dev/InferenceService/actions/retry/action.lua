-- Asks the operator to try a revision again that failed or was rolled back.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local status = obj.status or {}
local canary, rejected = status.canary, status.rejected or {}
local revision = nil
if canary ~= nil and canary.state == "Failed" then
  revision = canary.revision
elseif canary == nil and #rejected > 0 then
  local last = status.lastDecision
  if #rejected > 1 and (last == nil or last.revision ~= rejected[1].revision) then
    error("several revisions were rejected: name one with modelwright rollout retry --revision", 0)
  end
  revision = rejected[1].revision
end
if revision == nil then
  error("nothing to retry: no revision has failed or was rolled back", 0)
end

-- The token is new with each change of the object: the operator carries each request out once.
local token = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/rollout"] = "retry@" .. revision .. "#" .. token
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/rollout-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
