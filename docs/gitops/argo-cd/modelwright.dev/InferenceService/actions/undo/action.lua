-- Asks the operator to give the traffic to the version before, or back to the newer one after an undo.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local status = obj.status or {}
local stable, retired = status.stable, status.retired
if stable == nil or retired == nil then
  error("nothing to undo: no earlier version runs. Name it in spec.model", 0)
end
if retired.undone then
  local undone = false
  for _, each in ipairs(status.rejected or {}) do
    undone = undone or (each.reason == "Undone" and each.revision == retired.revision)
  end
  if not undone then
    error("nothing to undo: the other version lost the traffic, and not by an undo. Use retry", 0)
  end
end
local revision = stable.revision

-- The token is new with each change of the object: the operator carries each request out once.
local token = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/rollout"] = "undo@" .. revision .. "#" .. token
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/rollout-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
