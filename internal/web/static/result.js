export function result(section) { section.hidden = true; }
