"""Reports: from the raw data of a run to pages that people read.

    runs        manifest.json and raw.json.gz -> values
    variants    what was measured of one server, protocol and setting
    judging     what failed, was skipped, or cannot be trusted, in sentences
    findings    the headlines, in words
    tables      the figures as rows of text
    pictures    which charts a run deserves, and what each shows
    document    all of it in order
    markdown, html, index   the same as report.md, report.html and results/README.md

The same data makes the same bytes: no clock is read and nothing is drawn by chance.
"""
