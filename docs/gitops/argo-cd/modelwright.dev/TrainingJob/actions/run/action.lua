-- Asks the operator to run now.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local state = ((obj.status or {}).run or {}).state
local replaces = (obj.spec.brakes or {}).concurrencyPolicy == "Replace"
if state == nil or ((state == "Pending" or state == "Running") and not replaces) then
  error("a run is under way, and spec.brakes.concurrencyPolicy is Forbid", 0)
end

-- The token is new with each change of the object: the operator carries each request out once.
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/run"] = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/run-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
