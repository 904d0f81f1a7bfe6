"""Running a study: `coordinator` is the loop of ticks, `continuation` picks up what a killed process left,
`winner` scores the best trial on the test part once.
"""
