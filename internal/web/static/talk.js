export function talk(section) { section.hidden = true; }
