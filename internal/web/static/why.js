export function why(section) { section.hidden = true; }
