// After htmx.js, before it starts: its style element would need a weaker policy (static/css/admin.css has it).
window.htmx.config.includeIndicatorStyles = false;
