// The alert rules and dashboards as a monitoring mixin: `jb install` the repository's root.
// Thresholds, job and links are settings of `bandwidth-voice-exporter rules --config alerts.toml`;
// put what it writes in the place of the shipped rules:
//   (import 'bandwidth-voice-exporter/mixin.libsonnet') + { rules:: importstr 'mine.rules.yml' }
{
  rules:: importstr 'alerts/bandwidth-voice.rules.yml',

  local groups = std.parseYaml($.rules).groups,
  local hasAlert(group) = std.length([rule for rule in group.rules if 'alert' in rule]) > 0,

  // What a page reads is recorded before it in its own group, so groups stay whole.
  prometheusAlerts+:: { groups+: [group for group in groups if hasAlert(group)] },
  prometheusRules+:: { groups+: [group for group in groups if !hasAlert(group)] },

  grafanaDashboards+:: {
    'bandwidth-voice-outcomes.json': import 'dashboards/bandwidth-voice-outcomes.json',
    'bandwidth-voice-failures.json': import 'dashboards/bandwidth-voice-failures.json',
    'bandwidth-voice-exporter.json': import 'dashboards/bandwidth-voice-exporter.json',
  },
}
