export function race(section) { section.append('Race'); }
