export function gpus(section) { section.hidden = true; }
