-- attack: A pattern with many states over a long text
-- reference: CWE-1333, inefficient regular expression complexity
-- source: https://cwe.mitre.org/data/definitions/1333.html
-- wants: the room's time
-- succeeds: exhausts
-- stopped-by: pattern
SELECT COUNT(*) FROM fleet.jobs WHERE regexp_matches(repeat(code, 3000000), '(s?e?c?r?e?t?){100}(x?){200}x{200}y')
