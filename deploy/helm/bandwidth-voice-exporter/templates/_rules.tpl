{{/* files/rules.json with the values in the place of its placeholders, @name@ each. */}}
{{- define "bve.rules" -}}
{{- $v := .Values.prometheusRule -}}
{{- $exporter := default .Values.ops.externalUrl $v.links.exporter | trimSuffix "/" -}}
{{- $runbooks := "" -}}
{{- if $v.links.runbooks -}}
{{- $runbooks = printf "%s/@name@.md" (trimSuffix "/" $v.links.runbooks) -}}
{{- else if $exporter -}}
{{- $runbooks = printf "%s/runbooks/@name@" $exporter -}}
{{- end -}}
{{- $text := .Files.Get "files/rules.json" | replace "@job@" $v.job -}}
{{- range $section, $group := $v.thresholds -}}
{{- range $name, $value := $group -}}
{{- $text = replace (printf "@%s.%s@" $section $name) (toString $value) $text -}}
{{- end -}}
{{- end -}}
{{- $known := list -}}
{{- $groups := list -}}
{{- range $group := (fromJson $text).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if hasKey $rule "alert" -}}
{{- $condition := $rule.annotations.runbook_url -}}
{{- $known = append (append $known $condition) $rule.alert -}}
{{- if not (or (has $rule.alert $v.switchedOff) (has $condition $v.switchedOff)) -}}
{{- $annotations := omit $rule.annotations "runbook_url" "dashboard_url" "failures_url" -}}
{{- if $runbooks -}}
{{- $_ := set $annotations "runbook_url" (replace "@name@" $condition $runbooks) -}}
{{- end -}}
{{- if and $v.links.dashboards $rule.annotations.dashboard_url -}}
{{- $_ := set $annotations "dashboard_url" (replace "@dashboards@" (trimSuffix "/" $v.links.dashboards) $rule.annotations.dashboard_url) -}}
{{- end -}}
{{- if and $exporter $rule.annotations.failures_url -}}
{{- $_ := set $annotations "failures_url" (replace "@exporter@" $exporter $rule.annotations.failures_url) -}}
{{- end -}}
{{- $rules = append $rules (set (omit $rule "annotations") "annotations" $annotations) -}}
{{- end -}}
{{- else -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (set (omit $group "rules") "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- range $v.switchedOff -}}
{{- if not (has . $known) -}}
{{- fail (printf "prometheusRule.switchedOff: there is no alert %s" .) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}
